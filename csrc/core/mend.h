/*
** mend.h - what lode_check does about damage, where it stands: mild damage,
** that is, of what lode itself has written on pages that are sound.
**
** The truth are the records, each under its checksum. What is counted or
** indexed of them is made anew from them where it disagrees; a record that
** is not sound is removed, since no read could ever give it.
*/
#ifndef LODE_MEND_H
#define LODE_MEND_H

#include "order.h"

typedef struct mend { /* one mending, in the transaction of a handle */
  lode_store *s;
  const lode_check_options *options;
  lode_check_report *report; /* its `mended` and `dropped` are counted */
  lode_buffer scratch;
} mend;

/* Tells and counts something that was done. */
void mend_tell (mend *m, const char *format, ...)
  __attribute__((format(printf, 2, 3)));

/* Makes the catalogue agree with itself. In the transaction. */
lode_status mend_catalog (mend *m);

/*
** The collection with the least number not below `number`, its texts copied
** to `texts`. ABSENT, CORRUPT, NO_MEMORY.
*/
lode_status mend_next (mend *m, uint32_t number, catalog_entry *e,
                       lode_buffer *texts);

#endif
