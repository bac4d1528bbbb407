// The shim as a program of its own, about half a megabyte, installed beside espalier. See Sources/CShim.
#include "CShim.h"

int main(int argc, char **argv) { return espalier_shim_main(argc, argv); }
