/* Calls compiled kernels for `tests.campaigns.aarch64`, which sends the arguments and takes back the arrays.

   Numbers are 64-bit words of the machine, little-endian. A request is: function, calls, arrays; the size of each array
   in bytes; the arrays; for each call the number of its words, and for each word which array's address it is (-1: none)
   and its value. The answer is the status of each call, the number of the first array that something was written
   around (-1: none), and the arrays. All calls of a request run at once, a thread each. */

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "entries.h" /* ENTRIES(EACH), the compiled functions in the order of their numbers; LATE(EACH), those called
                        through pointers */

enum { ZONE = 4096 };

#define DECLARE(name) extern int32_t fnnet_##name(int64_t *words);
#define LIST(name) fnnet_##name,
ENTRIES(DECLARE)
static int32_t (*const functions[])(int64_t *) = { ENTRIES(LIST) };

#define DECLARE_LATE(name) extern void *fnnet_pointer_##name; extern char fnnet_native_##name[];
#define SET(name) fnnet_pointer_##name = fnnet_native_##name;
LATE(DECLARE_LATE)

struct call {
    int64_t function, *words, status;
};

static void receive(void *to, size_t size)
{
    if (size && fread(to, size, 1, stdin) != 1)
        exit(1);
}

static void send(const void *from, size_t size)
{
    if (size && fwrite(from, size, 1, stdout) != 1)
        exit(1);
}

static void *allocate(size_t size)
{
    void *found = NULL;
    if (posix_memalign(&found, ZONE, size ? size : 1))
        exit(1);
    return found;
}

static int64_t word(void)
{
    int64_t found;
    receive(&found, sizeof found);
    return found;
}

static void *run(void *given)
{
    struct call *call = given;
    call->status = functions[call->function](call->words);
    return NULL;
}

static int is_untouched(const unsigned char *array, size_t size)
{
    for (size_t i = 0; i < ZONE; i++)
        if (array[-1 - (long)i] != 0xFF || array[size + i] != 0xFF)
            return 0;
    return 1;
}

static void serve(int64_t function, int64_t calls, int64_t arrays)
{
    struct call *all = allocate(calls * sizeof *all);
    unsigned char **places = allocate(arrays * sizeof *places);
    int64_t *sizes = allocate(arrays * sizeof *sizes), damaged = -1;
    receive(sizes, arrays * sizeof *sizes);
    for (int64_t i = 0; i < arrays; i++) {
        unsigned char *start = allocate(sizes[i] + 2 * ZONE);
        memset(start, 0xFF, sizes[i] + 2 * ZONE); /* NaN, for whoever reads around the array */
        places[i] = start + ZONE;
        receive(places[i], sizes[i]);
    }
    for (int64_t i = 0; i < calls; i++) {
        int64_t count = word();
        all[i].function = function;
        all[i].words = allocate(count * sizeof(int64_t));
        for (int64_t n = 0; n < count; n++) {
            int64_t array = word(), value = word();
            all[i].words[n] = array < 0 ? value : (int64_t)(intptr_t)places[array];
        }
    }
    pthread_t *threads = allocate(calls * sizeof *threads);
    for (int64_t i = 1; i < calls; i++)
        if (pthread_create(&threads[i], NULL, run, &all[i]))
            exit(1);
    run(&all[0]);
    for (int64_t i = 1; i < calls; i++)
        pthread_join(threads[i], NULL);
    for (int64_t i = 0; i < calls; i++) {
        send(&all[i].status, sizeof all[i].status);
        free(all[i].words);
    }
    for (int64_t i = arrays; i--;)
        if (!is_untouched(places[i], sizes[i]))
            damaged = i;
    send(&damaged, sizeof damaged);
    for (int64_t i = 0; i < arrays; i++) {
        send(places[i], sizes[i]);
        free(places[i] - ZONE);
    }
    fflush(stdout);
    free(threads);
    free(sizes);
    free(places);
    free(all);
}

int main(void)
{
    int64_t head[3];
    LATE(SET)
    while (fread(head, sizeof head, 1, stdin) == 1)
        serve(head[0], head[1], head[2]);
    return 0;
}
