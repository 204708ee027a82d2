/* SPDX-License-Identifier: EUPL-1.2
 * Prints a node's status: status NODE */
#include <staffel/staffel.h>
#include <stdio.h>

int main(int argc, char** argv) {
  staffel_error* error = NULL;
  staffel_node* node;
  char* status;
  if (argc != 2) {
    fprintf(stderr, "usage: status NODE (a node's data directory)\n");
    return 2;
  }
  node = staffel_open(argv[1], &error);
  if (node == NULL) {
    fprintf(stderr, "%s\n", staffel_error_message(error));
    staffel_error_free(error);
    return 1;
  }
  status = staffel_status(node, &error);
  if (status == NULL) {
    fprintf(stderr, "%s\n", staffel_error_message(error));
    staffel_error_free(error);
    staffel_close(node);
    return 1;
  }
  printf("%s\n", status);
  staffel_free(status);
  staffel_close(node);
  return 0;
}
