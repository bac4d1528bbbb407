#include "CShim.h"
int espalier_shim_version(void) { return 1; }
