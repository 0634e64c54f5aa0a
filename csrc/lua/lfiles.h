/*
** lfiles.h - lode's Lua files as parts of the program, for hosts that have
** none of them on disk. .ci/embed.lua writes the C file that defines them.
*/
#ifndef LODE_LFILES_H
#define LODE_LFILES_H

typedef struct lfile {
  const char *module;       /* "lode.policy"; null after the last */
  const char *name;         /* "@lode/policy.lua" */
  const char *const *lines; /* the last is null */
} lfile;

extern const lfile lfiles[];

#endif
