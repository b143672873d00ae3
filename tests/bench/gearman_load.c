/* Clients and a worker on libgearman, in C: the same program drives gearmand and our door, so that what is measured is
 * the server. Prints one line: for `one` the latencies in microseconds, p50 and p99; else jobs per second.
 *
 *   gearman_load worker PORT FUNCTION                       echoes until it is killed
 *   gearman_load one    PORT FUNCTION COUNT                 calls, one at a time
 *   gearman_load many   PORT FUNCTION COUNT AT_ONCE         calls, so many in flight on one connection
 *   gearman_load back   PORT FUNCTION COUNT AT_ONCE         background jobs, accepted
 */
#include <libgearman/gearman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char ARGS[] = "{\"to\": \"someone@example.com\", \"subject\": \"two hundred bytes of arguments, as in the other benchmarks\", "
                           "\"body\": \"........................................................................\"}";

static double now_us(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1e6 + at.tv_nsec / 1e3;
}

static int fail(const char *what, const char *why) {
    fprintf(stderr, "gearman_load: %s: %s\n", what, why == NULL ? "?" : why);
    return 1;
}

static gearman_return_t echo(gearman_job_st *job, void *context) {
    (void)context;
    gearman_return_t sent = gearman_job_send_complete(job, gearman_job_workload(job), gearman_job_workload_size(job));
    return gearman_failed(sent) ? GEARMAN_ERROR : GEARMAN_SUCCESS;
}

static int work(gearman_worker_st *worker, const char *name) {
    gearman_function_t function = gearman_function_create(echo);
    if (gearman_failed(gearman_worker_define_function(worker, name, strlen(name), function, 0, NULL)))
        return fail("define_function", gearman_worker_error(worker));
    for (;;)
        if (gearman_failed(gearman_worker_work(worker))) return fail("work", gearman_worker_error(worker));
}

static int ascending(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static int one(gearman_client_st *client, const char *name, long count) {
    double *took = malloc(sizeof(double) * count);
    for (long i = 0; i < count; i++) {
        size_t size;
        gearman_return_t said;
        double began = now_us();
        void *result = gearman_client_do(client, name, NULL, ARGS, sizeof(ARGS) - 1, &size, &said);
        took[i] = now_us() - began;
        if (gearman_failed(said)) return fail("do", gearman_client_error(client));
        free(result);
    }
    qsort(took, count, sizeof(double), ascending);
    printf("%.1f %.1f\n", took[count / 2], took[count * 99 / 100]);
    return 0;
}

static int many(gearman_client_st *client, const char *name, long count, long at_once, int background) {
    double began = now_us();
    for (long done = 0; done < count; done += at_once) {
        for (long i = 0; i < at_once; i++) {
            gearman_return_t said;
            if (background)
                gearman_client_add_task_background(client, NULL, NULL, name, NULL, ARGS, sizeof(ARGS) - 1, &said);
            else
                gearman_client_add_task(client, NULL, NULL, name, NULL, ARGS, sizeof(ARGS) - 1, &said);
            if (gearman_failed(said)) return fail("add_task", gearman_client_error(client));
        }
        if (gearman_failed(gearman_client_run_tasks(client))) return fail("run_tasks", gearman_client_error(client));
        gearman_client_task_free_all(client);
    }
    printf("%.0f\n", count / ((now_us() - began) / 1e6));
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 4) return fail("usage", "gearman_load worker|one|many|back PORT FUNCTION [COUNT [AT_ONCE]]");
    const char *mode = argv[1], *name = argv[3];
    in_port_t port = (in_port_t)atoi(argv[2]);
    long count = argc > 4 ? atol(argv[4]) : 1, at_once = argc > 5 ? atol(argv[5]) : 1;
    if (!strcmp(mode, "worker")) {
        gearman_worker_st *worker = gearman_worker_create(NULL);
        if (gearman_failed(gearman_worker_add_server(worker, "127.0.0.1", port))) return fail("add_server", NULL);
        return work(worker, name);
    }
    gearman_client_st *client = gearman_client_create(NULL);
    if (gearman_failed(gearman_client_add_server(client, "127.0.0.1", port))) return fail("add_server", NULL);
    if (!strcmp(mode, "one")) return one(client, name, count);
    return many(client, name, count, at_once, !strcmp(mode, "back"));
}
