/* Reads the text of a .env file, one setting at a time:
     # comment
     [export ]NAME=value      ends before a blank and '#', blanks around it are cut
     NAME='as it stands'      NAME="with \n \t \r \" \\ and \$ escaped"
   A value does not span lines and nothing in it is expanded. Any thread; the text must outlive the reader. */
#pragma once

#include "causeway/buffer.h"

struct dotenv {
    const char *rest; /* set to the text before the first call; all else zeroed */
    int line;
    struct slice name;   /* the setting just read: */
    struct buffer value; /* valid until the next call */
    const char *fault;   /* static text when `line` is broken, without anything of its content; else NULL */
};

/* Goes to the next setting or broken line, after which reading may go on; false at the end. */
bool dotenv_next(struct dotenv *d);
void dotenv_finish(struct dotenv *d);
