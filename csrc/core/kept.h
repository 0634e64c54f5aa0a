/*
** kept.h - the options that are kept with a collection, against those that
** are given when it is opened again.
*/
#ifndef LODE_KEPT_H
#define LODE_KEPT_H

#include "handle.h"

/* "dict" or "set". */
const char *kept_kind (lode_kind kind);

/*
** Whether the kind and the options given agree with what is kept. Those
** not given always do. INCOMPATIBLE names the one that differs.
*/
lode_status kept_check (lode_store *s, const catalog_entry *e,
                        lode_kind kind, const lode_coll_options *o);

/* A cap without a word of who goes first means sieve. */
void kept_default (lode_coll_options *o);

/* Replaces what is kept of lifetimes and caps by what is given. */
void kept_replace (lode_coll_options *kept, const lode_coll_options *o);

#endif
