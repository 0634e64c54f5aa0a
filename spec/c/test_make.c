/*
** test_make.c - a store that somebody else makes just then. The program has
** an `access` of its own: when it is asked for the first time whether a side
** file is there, another process makes the store before it answers.
*/
#include <fcntl.h>
#include <sys/wait.h>

#include "scratch.h"

static int orders[2], answers[2]; /* pipes to the other process and back */
static bool armed;

/* The other process: makes a store at each order, and keeps it open. */
static void serve (const char *path) {
  lode_store *s = NULL;
  lode_options o;
  lode_error e;
  char c;
  lode_options_init(&o);
  while (read(orders[0], &c, 1) == 1) {
    if (lode_open(path, &o, &s, &e) != LODE_OK) _exit(1);
    if (write(answers[1], &c, 1) != 1) _exit(1);
  }
  if (s != NULL) (void)lode_close(s, &e);
  _exit(0);
}

static void have_it_made (void) {
  char c = 'x';
  if (write(orders[1], &c, 1) != 1 || read(answers[0], &c, 1) != 1) exit(2);
}

int access (const char *path, int mode) {
  size_t size = strlen(path);
  if (armed && size > 5 && strcmp(path + size - 5, ".side") == 0) {
    armed = false;
    have_it_made();
  }
  return faccessat(AT_FDCWD, path, mode, 0);
}

static void made_between (void) {
  const char *path = scratch_path("store");
  lode_store *s;
  int how;
  pid_t pid;
  if (pipe(orders) != 0 || pipe(answers) != 0) exit(2);
  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    close(orders[1]);
    serve(path);
  }
  close(orders[0]);
  armed = true;
  s = scratch_open("store", NULL);
  expect(!armed);
  scratch_close(s);
  close(orders[1]);
  expect(waitpid(pid, &how, 0) == pid && how == 0);
}

/* And one whose data is really gone is no new store. */
static void gone (void) {
  char path[192];
  lode_options o;
  lode_store *s = scratch_open("gone", NULL);
  lode_error e;
  scratch_close(s);
  snprintf(path, sizeof path, "%s/data.mdb", scratch_path("gone"));
  expect(unlink(path) == 0);
  lode_options_init(&o);
  s = NULL;
  expect(lode_open(scratch_path("gone"), &o, &s, &e) == LODE_CORRUPT);
  expect(s == NULL);
}

int main (void) {
  scratch_begin();
  test_group("a store that another process makes just then", made_between);
  test_group("a store without its data file", gone);
  scratch_end();
  return test_end();
}
