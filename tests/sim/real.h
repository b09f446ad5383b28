/* The real functions behind the ones that the linker wraps, for the world's own use; and the memory of processes. */
#ifndef HOLDFAST_SIM_REAL_H
#define HOLDFAST_SIM_REAL_H

#include <stddef.h>

struct sim_node;

void *real_malloc(size_t size);
void *real_calloc(size_t count, size_t size);
void *real_realloc(void *at, size_t size);
void real_free(void *at);

/* An object that an event carries, zeroed: given back at the event, or with the world. */
void *sim_object_new(size_t size);
void sim_object_free(void *object);
void sim_objects_give_all(void);

/* Gives back everything a process took: its end. */
void sim_memory_give_all(struct sim_node *node);

#endif
