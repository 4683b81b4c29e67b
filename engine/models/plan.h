/* plan.h - private to engine/models: memory that a backend takes for the pass of a model. */
#ifndef ENGINE_MODELS_PLAN_H
#define ENGINE_MODELS_PLAN_H

struct model;

/* Sets b->graphs. Called after weights and workspace are allocated. */
void plan_pass(struct model *m);

#endif
