/* Reads a YAML 1.2 or JSON document from files: the only file that knows libyaml. Blocking; any thread. */
#pragma once

#include "causeway/document.h"

/* Loads `path` and, from there on, every file that a relative `$ref` names. Files that end in .json are read
   as strict JSON, all others as YAML: one document per file, core schema, anchors and aliases; no merge keys,
   no duplicate keys, no tags beyond the core ones. At most 4 MiB per file, 500 files, 100 levels, a million
   values (an alias counts as what it stands for). NULL: `fault` gets "file:line: message". The caller
   destroys the document. */
struct document *yaml_document_load(const char *path, struct buffer *fault);
