#ifndef ESPALIER_SHIM_H
#define ESPALIER_SHIM_H
/* Placeholder until the node's shim lands here. */
int espalier_shim_version(void);
#endif
