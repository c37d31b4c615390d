/* A document with a bit of everything. */
#pragma once

#include "unit.h"

/* Each fault test changes one place of this document. */
extern const char shop[];
