/* The order in which the stand-in for cudart runs streams: adverse without more, any that the calls allow by chance. */
#include "libs_cases.h"

enum { ROUNDS = 400 };

static cudaStream_t writer, reader;
static cudaEvent_t event;
static unsigned char *x; /* two bytes of device memory, and those that were read */
static unsigned char *first, *second;

static void begin(void) {
    MUST(cudaStreamCreateWithFlags(&writer, cudaStreamNonBlocking) == cudaSuccess);
    MUST(cudaStreamCreateWithFlags(&reader, cudaStreamNonBlocking) == cudaSuccess);
    MUST(cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess);
    MUST(cudaMalloc((void **)&x, 1) == cudaSuccess && cudaMalloc((void **)&first, 2) == cudaSuccess);
    second = first + 1;
}
static void end(void) {
    MUST(cudaEventDestroy(event) == cudaSuccess && cudaStreamDestroy(writer) == cudaSuccess);
    MUST(cudaStreamDestroy(reader) == cudaSuccess && cudaFree(x) == cudaSuccess && cudaFree(first) == cudaSuccess);
}

/* One stream writes 1, then 2, over a 0; another reads twice, ordered after the 1 or not. Returns 10 * first + second.
 */
static int race(bool ordered) {
    unsigned char seen[2];
    MUST(cudaMemset(x, 0, 1) == cudaSuccess && cudaDeviceSynchronize() == cudaSuccess);
    MUST(cudaMemsetAsync(x, 1, 1, writer) == cudaSuccess && cudaEventRecord(event, writer) == cudaSuccess);
    MUST(cudaMemsetAsync(x, 2, 1, writer) == cudaSuccess);
    if (ordered) {
        MUST(cudaStreamWaitEvent(reader, event, 0) == cudaSuccess);
    }
    MUST(cudaMemcpyAsync(first, x, 1, cudaMemcpyDeviceToDevice, reader) == cudaSuccess);
    MUST(cudaMemcpyAsync(second, x, 1, cudaMemcpyDeviceToDevice, reader) == cudaSuccess);
    MUST(cudaMemcpyAsync(seen, first, 2, cudaMemcpyDeviceToHost, reader) == cudaSuccess);
    MUST(cudaStreamSynchronize(reader) == cudaSuccess && cudaDeviceSynchronize() == cudaSuccess);
    return 10 * seen[0] + seen[1];
}

/* How often each outcome came about, and on stderr all of them in turn. */
static void count(bool ordered, int counts[23]) {
    begin();
    for (int round = 0; round < ROUNDS; ++round) {
        const int outcome = race(ordered);
        MUST(outcome >= 0 && outcome <= 22);
        ++counts[outcome];
        fprintf(stderr, round < 40 ? "%02d " : "", outcome);
    }
    end();
}

static void any_legal_order(void) {
    int counts[23] = {0};
    count(false, counts);
    MUST(counts[0] > 0 && counts[1] > 0 && counts[2] > 0 && counts[11] > 0 && counts[12] > 0 && counts[22] > 0);
    MUST(counts[0] + counts[1] + counts[2] + counts[11] + counts[12] + counts[22] == ROUNDS);
}
static void any_order_after_the_event(void) {
    int counts[23] = {0};
    count(true, counts);
    MUST(counts[11] > 0 && counts[12] > 0 && counts[22] > 0);
    MUST(counts[11] + counts[12] + counts[22] == ROUNDS);
}
static void adverse_order(void) {
    int counts[23] = {0};
    count(false, counts);
    MUST(counts[0] == ROUNDS);
}
static void adverse_order_after_the_event(void) {
    int counts[23] = {0};
    count(true, counts);
    MUST(counts[11] == ROUNDS);
}
static void eager_order(void) {
    int counts[23] = {0};
    count(false, counts);
    MUST(counts[22] == ROUNDS);
}

static void orders(void **state) {
    (void)state;
    expect_right("order=forward", adverse_order);
    expect_right("order=forward", adverse_order_after_the_event);
    expect_right("order=reverse", adverse_order);
    expect_right("order=forward,streams=eager", eager_order);
    expect_right("order=random,seed=1,streams=eager", eager_order);
    expect_right("order=random,seed=1", any_legal_order);
    expect_right("order=random,seed=2", any_legal_order);
    expect_right("order=random,seed=1", any_order_after_the_event);
}

/* The seed is printed and gives the same orders again; another one gives others. */
static void seeds(void **state) {
    (void)state;
    char one[8192], again[8192], other[8192];
    assert_int_equal(in_child("order=random,seed=7", any_legal_order, one, sizeof one), 0);
    assert_int_equal(in_child("order=random,seed=7", any_legal_order, again, sizeof again), 0);
    assert_int_equal(in_child("order=random,seed=8", any_legal_order, other, sizeof other), 0);
    assert_non_null(strstr(one, "random order, seed 7"));
    assert_memory_equal(one, again, 120);
    assert_memory_not_equal(one, other, 120);
}

/* ---- events ------------------------------------------------------------------------------------------------ */

/* A wait is for the recording before it, also when the event is recorded anew in another stream. */
static void recorded_anew(void) {
    unsigned char seen = 9;
    begin();
    cudaStream_t third = NULL;
    MUST(cudaStreamCreateWithFlags(&third, cudaStreamNonBlocking) == cudaSuccess);
    MUST(cudaMemset(x, 0, 1) == cudaSuccess);
    MUST(cudaMemsetAsync(x, 1, 1, writer) == cudaSuccess && cudaEventRecord(event, writer) == cudaSuccess);
    MUST(cudaStreamWaitEvent(reader, event, 0) == cudaSuccess && cudaEventRecord(event, third) == cudaSuccess);
    MUST(cudaMemcpyAsync(&seen, x, 1, cudaMemcpyDeviceToHost, reader) == cudaSuccess);
    MUST(cudaStreamSynchronize(reader) == cudaSuccess && seen == 1);
    MUST(cudaStreamDestroy(third) == cudaSuccess);
    end();
}

/* Who waits for an event waits for what lies before it, not for the rest of the stream. */
static void no_more_than_asked(void) {
    unsigned char *pinned = NULL;
    begin();
    MUST(cudaMallocHost((void **)&pinned, 2) == cudaSuccess && cudaMemset(x, 5, 1) == cudaSuccess);
    MUST(cudaMemcpyAsync(pinned, x, 1, cudaMemcpyDeviceToHost, writer) == cudaSuccess);
    MUST(cudaEventRecord(event, writer) == cudaSuccess && cudaEventQuery(event) == cudaErrorNotReady);
    MUST(cudaMemcpyAsync(pinned + 1, x, 1, cudaMemcpyDeviceToHost, writer) == cudaSuccess);
    MUST(cudaEventSynchronize(event) == cudaSuccess && cudaEventQuery(event) == cudaSuccess && pinned[0] == 5);
    MUST(pinned[1] != 5 && cudaStreamQuery(writer) == cudaErrorNotReady);
    MUST(cudaStreamSynchronize(writer) == cudaSuccess && pinned[1] == 5 && cudaFreeHost(pinned) == cudaSuccess);
    end();
}

/* A host that does not wait before it uses pinned memory again: by chance the old value is copied, or the new. */
static void host_too_early(void) {
    unsigned char *pinned = NULL, seen;
    int counts[3] = {0};
    begin();
    MUST(cudaMallocHost((void **)&pinned, 1) == cudaSuccess);
    for (int round = 0; round < 100; ++round) {
        *pinned = 1;
        MUST(cudaMemcpyAsync(x, pinned, 1, cudaMemcpyHostToDevice, writer) == cudaSuccess);
        *pinned = 2;
        MUST(cudaStreamSynchronize(writer) == cudaSuccess);
        MUST(cudaMemcpy(&seen, x, 1, cudaMemcpyDeviceToHost) == cudaSuccess && seen <= 2);
        ++counts[seen];
    }
    MUST(counts[0] == 0 && counts[1] > 10 && counts[2] > 10 && cudaFreeHost(pinned) == cudaSuccess);
    end();
}

static void events(void **state) {
    (void)state;
    expect_right("order=forward", recorded_anew);
    expect_right("order=random,seed=3", recorded_anew);
    expect_right("order=forward", no_more_than_asked);
    expect_right("order=random,seed=3", host_too_early);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders),
        cmocka_unit_test(seeds),
        cmocka_unit_test(events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
