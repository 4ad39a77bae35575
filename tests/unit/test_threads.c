/* The number of threads changes no bit: a generator's image and style-block maps, and the labels, uncertainties and
 * scores that an ensemble gives them. OpenMP reads OMP_NUM_THREADS when a process begins, so this program calls itself
 * as "test_threads THREADS", which prints digests of all results. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "handsoff/label_head.h"
#include "handsoff/ops.h"
#include "handsoff/stylegan2.h"

enum { SIZE = 64, N = 3, D = 32, MEMBERS = 3, BITS = 2048 };
static const ho_stylegan2_shape GENERATOR = {SIZE, SIZE, D, D, 2048, 64, 2};
static const char *own_path;
static int threads_wanted;

/* FNV-1a, 64 bits. */
static uint64_t digest(const void *data, size_t bytes) {
    const unsigned char *at = data;
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < bytes; ++i) {
        hash = (hash ^ at[i]) * 0x100000001b3U;
    }
    return hash;
}

static void print_tensor(ho_context *context, const char *name, int number, const ho_tensor *tensor) {
    const size_t bytes = sizeof(float) * (size_t)ho_tensor_count(tensor);
    float *host = malloc(bytes);
    assert_non_null(host);
    CHECK_OK(ho_tensor_to_host(context, tensor, host));
    assert_true(check_is_finite(host[0]) && host[0] != host[bytes / sizeof(float) - 1]);
    printf("%s %d %016llx\n", name, number, (unsigned long long)digest(host, bytes));
    free(host);
}

/* Members that disagree: the shipped start, N(0, 0.02), says nearly the same everywhere. */
static void shake(ho_label_head *head) {
    ho_params *params = ho_label_head_params(head);
    for (int i = 0; i < ho_params_n(params); ++i) {
        ho_param *param = ho_params_at(params, i);
        const int64_t count = ho_tensor_count(&param->tensor);
        float *host = malloc(sizeof(float) * (size_t)count);
        CHECK_OK(ho_param_get(params, param, host));
        for (int64_t k = 0; k < count; ++k) {
            host[k] = param->kind == HO_BUFFER ? host[k] : 0.3F * (float)check_normal((uint64_t)i, (uint64_t)k);
        }
        CHECK_OK(ho_param_set(params, param, host));
        free(host);
    }
}

static void print_labels(ho_context *context, const ho_style_blocks *blocks) {
    enum { PIXELS = N * SIZE * SIZE };
    static uint8_t label[PIXELS];
    static float js[PIXELS], score[N];
    ho_label_head_shape shape = {MEMBERS, 32, 16, 5, SIZE, SIZE, blocks->n, {0}, {0}};
    for (int l = 0; l < blocks->n; ++l) {
        shape.block[l] = l;
        shape.channels[l] = ho_style_block_channels(&GENERATOR, l);
    }
    ho_label_head *head = NULL;
    CHECK_OK(ho_label_head_create(check_device(), &shape, 9, &head));
    shake(head);
    const ho_label_prediction prediction = {label, js, score};
    CHECK_OK(ho_label_head_predict(context, head, blocks, &prediction));
    bool several = false;
    for (int p = 0; p < PIXELS; ++p) {
        several = several || label[p] != label[0];
    }
    assert_true(several && score[0] > 0.01F);
    printf("label 0 %016llx\n", (unsigned long long)digest(label, sizeof label));
    printf("js 0 %016llx\n", (unsigned long long)digest(js, sizeof js));
    printf("score 0 %016llx\n", (unsigned long long)digest(score, sizeof score));
    ho_label_head_free(head);
}

static void print_bits(void **state) {
    (void)state;
    assert_int_equal(omp_get_max_threads(), threads_wanted);
    ho_context *context = NULL;
    ho_generator *generator = NULL;
    ho_tensor *z = NULL, *w = NULL, *w_plus = NULL, *image = NULL;
    ho_style_blocks blocks = {0};
    float values[N * D];
    for (int i = 0; i < N * D; ++i) {
        values[i] = (float)check_normal(1, (uint64_t)i);
    }
    CHECK_OK(ho_context_create(check_device(), &context));
    CHECK_OK(ho_generator_create(check_device(), &GENERATOR, 2, &generator));
    CHECK_OK(ho_tensor_from_host(context, values, HO_SHAPE(N, D), &z));
    CHECK_OK(ho_generator_map(context, generator, z, &w));
    CHECK_OK(ho_w_to_w_plus(context, w, ho_stylegan2_n_ws(&GENERATOR), &w_plus));
    CHECK_OK(ho_generator_synthesize(context, generator, w_plus, NULL, &blocks, &image));
    print_tensor(context, "image", 0, image);
    for (int l = 0; l < blocks.n; ++l) {
        print_tensor(context, "map", l, blocks.map[l]);
    }
    print_labels(context, &blocks);
    ho_generator_free(generator);
    ho_context_free(context);
}

/* What this program prints with that many threads. */
static void read_bits(int threads, char bits[BITS]) {
    char command[512];
    snprintf(command, sizeof command, "OMP_NUM_THREADS=%d %s %d 2>/dev/null", threads, own_path, threads);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    bits[fread(bits, 1, BITS - 1, pipe)] = '\0';
    assert_int_equal(pclose(pipe), 0);
}

static void one_thread_and_two_give_the_same_bits(void **state) {
    (void)state;
    static char one[BITS], two[BITS];
    read_bits(1, one);
    read_bits(2, two);
    assert_non_null(strstr(one, "image 0 "));
    assert_non_null(strstr(one, "map 9 "));
    assert_non_null(strstr(one, "score 0 "));
    assert_string_equal(one, two);
}

int main(int argc, char **argv) {
    const struct CMUnitTest bits[] = {cmocka_unit_test(print_bits)};
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_thread_and_two_give_the_same_bits)};
    own_path = argv[0];
    if (argc == 2) {
        threads_wanted = atoi(argv[1]);
        return cmocka_run_group_tests(bits, NULL, NULL);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
