/* An external delegate of TensorFlow Lite that stands in for libedgetpu.

It takes over "edgetpu-custom-op" as libedgetpu does. Where the real one runs the whole network, this one copies its
input, and the ops around it are the network: so the answers are right, whatever the picture. What it does instead is
the first word of the file that FAKE_EDGETPU_COMMAND names; a number after it says how many calls go well before:

  work     copy
  stall    never return, and take no signal that can be ignored
  crash    abort
  segv     write to address 0
  exit     end the process as if all were well
  refuse   return an error
  noise    write random bytes in place of the picture: wrong, and consistent in itself
  stale    go on with the last picture before
  garble   write random bytes in place of the logits alone
  absent   give no delegate
  hang     never return from giving one

The declarations are those of tensorflow/lite/core/c/common.h, as far as they are needed. */

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OK 0
#define ERROR 1
/* Without it the runtime prepares all ops before it asks the delegate, and does not know this one. */
#define ALLOW_DYNAMIC_TENSORS 1
#define DELEGATE_BUILTIN_CODE 51

typedef struct IntArray { int size; int data[]; } IntArray;
typedef struct Quantization { int type; void *params; } Quantization;
typedef struct Tensor {
  int type;
  void *data;
  IntArray *dims;
  struct { float scale; int32_t zero_point; } params;
  int allocation_type;
  size_t bytes;
  const void *allocation;
  const char *name;
  struct Delegate *delegate;
  int buffer_handle;
  bool data_is_stale;
  bool is_variable;
  Quantization quantization;
  void *sparsity;
  const IntArray *dims_signature;
} Tensor;
typedef struct Node {
  IntArray *inputs, *outputs, *intermediates, *temporaries;
  void *user_data;
  void *builtin_data;
  const void *custom_initial_data;
  int custom_initial_data_size;
  struct Delegate *delegate;
  bool might_have_side_effect;
} Node;
typedef struct Context Context;
typedef struct Registration {
  void *(*init)(Context *, const char *, size_t);
  void (*free)(Context *, void *);
  int (*prepare)(Context *, Node *);
  int (*invoke)(Context *, Node *);
  const char *(*profiling_string)(const Context *, const Node *);
  int32_t builtin_code;
  const char *custom_name;
  int version;
  void *registration_external;
  void *async_kernel;
  uint64_t inplace_operator;
} Registration;
struct Context {
  size_t tensors_size;
  int (*GetExecutionPlan)(Context *, IntArray **);
  Tensor *tensors;
  void *impl;
  int (*ResizeTensor)(Context *, Tensor *, IntArray *);
  void (*ReportError)(Context *, const char *, ...);
  int (*AddTensors)(Context *, int, int *);
  int (*GetNodeAndRegistration)(Context *, int, Node **, Registration **);
  int (*ReplaceNodeSubsetsWithDelegateKernels)(Context *, Registration, const IntArray *, struct Delegate *);
};
typedef struct Delegate {
  void *data;
  int (*Prepare)(Context *, struct Delegate *);
  void *copy_from, *copy_to, *free_handle;
  int64_t flags;
  void *opaque_delegate_builder;
} Delegate;

static int calls; /* of the first op: one for each picture */
static char *last_picture; /* that it saw while all was well */

static void read_command(char command[16], int *after) {
  const char *path = getenv("FAKE_EDGETPU_COMMAND");
  FILE *file = path ? fopen(path, "r") : NULL;
  strcpy(command, "work");
  *after = 0;
  if (!file) return;
  if (fscanf(file, "%15s %d", command, after) < 1) strcpy(command, "work");
  fclose(file);
}

static void wait_for_ever(void) {
  signal(SIGTERM, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  for (;;) pause();
}

static void write_noise(unsigned char *to, size_t bytes) {
  static uint32_t state = 12345;
  for (size_t at = 0; at < bytes; at++) {
    state = state * 1664525u + 1013904223u;
    to[at] = (unsigned char)(state >> 24);
  }
}

static int fake_invoke(Context *context, Node *node) {
  Tensor *input = &context->tensors[node->inputs->data[0]];
  Tensor *output = &context->tensors[node->outputs->data[0]];
  bool is_picture = input->dims->size == 4;
  char command[16];
  int after;
  read_command(command, &after);
  if (is_picture) calls++;
  bool due = calls > after;
  memcpy(output->data, input->data, output->bytes);
  if (is_picture && !(due && !strcmp(command, "stale"))) {
    if (!last_picture) last_picture = malloc(input->bytes);
    memcpy(last_picture, input->data, input->bytes);
  }
  if (!due) return OK;
  if (is_picture) {
    if (!strcmp(command, "stall")) wait_for_ever();
    if (!strcmp(command, "crash")) abort();
    if (!strcmp(command, "segv")) *(volatile int *)0 = 1;
    if (!strcmp(command, "exit")) _exit(0);
    if (!strcmp(command, "refuse")) {
      context->ReportError(context, "the fake Edge TPU refuses");
      return ERROR;
    }
    if (!strcmp(command, "noise")) write_noise(output->data, output->bytes);
    if (!strcmp(command, "stale")) memcpy(output->data, last_picture, output->bytes);
  } else if (!strcmp(command, "garble")) {
    write_noise(output->data, output->bytes);
  }
  return OK;
}

static int fake_node_prepare(Context *context, Node *node) {
  if (node->inputs->size != 1 || node->outputs->size != 1) return ERROR;
  size_t input = context->tensors[node->inputs->data[0]].bytes;
  size_t output = context->tensors[node->outputs->data[0]].bytes;
  if (input != output) {
    context->ReportError(context, "not an op that the fake Edge TPU can run");
    return ERROR;
  }
  return OK;
}

static int fake_prepare(Context *context, Delegate *delegate) {
  IntArray *plan;
  if (context->GetExecutionPlan(context, &plan) != OK) return ERROR;
  IntArray *taken = malloc(sizeof(IntArray) + sizeof(int) * (size_t)plan->size);
  taken->size = 0;
  for (int at = 0; at < plan->size; at++) {
    Node *node;
    Registration *registration;
    if (context->GetNodeAndRegistration(context, plan->data[at], &node, &registration) != OK) return ERROR;
    if (registration->custom_name && !strcmp(registration->custom_name, "edgetpu-custom-op"))
      taken->data[taken->size++] = plan->data[at];
  }
  Registration kernel = {
      .prepare = fake_node_prepare,
      .invoke = fake_invoke,
      .builtin_code = DELEGATE_BUILTIN_CODE,
      .custom_name = "FakeEdgeTpu",
      .version = 1,
  };
  int status = context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, taken, delegate);
  free(taken);
  return status;
}

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
  (void)keys, (void)values, (void)count;
  char command[16];
  int after;
  read_command(command, &after);
  if (!strcmp(command, "hang")) wait_for_ever();
  if (!strcmp(command, "absent")) {
    if (report) report("no Edge TPU answers");
    return NULL;
  }
  Delegate *delegate = calloc(1, sizeof(Delegate));
  delegate->Prepare = fake_prepare;
  delegate->flags = ALLOW_DYNAMIC_TENSORS;
  return delegate;
}

void tflite_plugin_destroy_delegate(Delegate *delegate) { free(delegate); }
