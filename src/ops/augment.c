/* Augmentation as an operation: draws the matrices, plans memory, launches kernels/augment.cu, and its adjoint. */
#include "handsoff/augment.h"

#include <math.h>
#include <string.h>

#include "augment.h"
#include "handsoff/random.h"

/* Strengths of StyleGAN2-ADA's "bgc" pipe. Standard deviations, or half-widths of uniform draws. */
static const double SHIFT_INTEGER = 0.125, SCALE_STD = 0.2, ANISOTROPY_STD = 0.2, SHIFT_STD = 0.125;
static const double BRIGHTNESS_STD = 0.2, CONTRAST_STD = 0.5, SATURATION_STD = 1.0;
static const double PI = 3.14159265358979323846;

enum {
    DRAWS = 64,            /* random numbers reserved for one image                    */
    REACH = 6,             /* pixels that filter taps reach beyond the image, each side */
    MOST_SCRATCH = 1 << 26 /* numbers of scratch after which a batch is split    */
};

/* ---- drawing --------------------------------------------------------------------------------------------- */

/* Uniform and normal number i of one stream share words of Philox, so the normals have a stream of their own. */
typedef struct {
    uint64_t seed, stream, normal_stream, next;
} draws;

static double draw_uniform(draws *d) {
    return ho_uniform(d->seed, d->stream, d->next++);
}
static double draw_normal(draws *d) {
    return ho_normal(d->seed, d->normal_stream, d->next++);
}

/* y = a b; y may be a or b. */
static void multiply(double a[4][4], double b[4][4], double y[4][4]) {
    double product[4][4];
    for (int i = 0; i < 4; ++i) {
        for (int j = 0; j < 4; ++j) {
            product[i][j] = 0.0;
            for (int k = 0; k < 4; ++k) {
                product[i][j] += a[i][k] * b[k][j];
            }
        }
    }
    memcpy(y, product, sizeof product);
}

static void identity(double m[4][4]) {
    for (int i = 0; i < 4; ++i) {
        for (int j = 0; j < 4; ++j) {
            m[i][j] = i == j ? 1.0 : 0.0;
        }
    }
}

/* g = g * [[xx, xy, x1], [yx, yy, y1], [0, 0, 1]]: one more step that the result's pixels are traced back through. */
static void trace(double g[4][4], double xx, double xy, double x1, double yx, double yy, double y1) {
    double step[4][4];
    identity(step);
    step[0][0] = xx, step[0][1] = xy, step[0][2] = x1;
    step[1][0] = yx, step[1][1] = yy, step[1][2] = y1;
    multiply(g, step, g);
}

static void trace_rotation(double g[4][4], double angle) {
    trace(g, cos(angle), -sin(angle), 0.0, sin(angle), cos(angle), 0.0);
}

static void draw_geometry(draws *d, double p, double H, double W, ho_augmentation *a) {
    double g[4][4];
    identity(g);
    const double p_turn = 1.0 - sqrt(1.0 - p);
    bool on[8];
    for (int i = 0; i < 8; ++i) {
        on[i] = draw_uniform(d) < (i == 4 || i == 6 ? p_turn : p);
    }
    const bool flip = draw_uniform(d) < 0.5;
    const int quarters = (int)(4.0 * draw_uniform(d));
    const double jump_x = round((2.0 * draw_uniform(d) - 1.0) * SHIFT_INTEGER * W);
    const double jump_y = round((2.0 * draw_uniform(d) - 1.0) * SHIFT_INTEGER * H);
    const double scale = exp2(SCALE_STD * draw_normal(d)), before = PI * (2.0 * draw_uniform(d) - 1.0);
    const double stretch = exp2(ANISOTROPY_STD * draw_normal(d)), after = PI * (2.0 * draw_uniform(d) - 1.0);
    const double shift_x = SHIFT_STD * W * draw_normal(d), shift_y = SHIFT_STD * H * draw_normal(d);
    if (on[0] && flip) {
        trace(g, -1.0, 0.0, 0.0, 0.0, 1.0, 0.0);
    }
    if (on[1]) {
        static const double COS[4] = {1.0, 0.0, -1.0, 0.0}, SIN[4] = {0.0, 1.0, 0.0, -1.0};
        trace(g, COS[quarters], -SIN[quarters], 0.0, SIN[quarters], COS[quarters], 0.0);
    }
    if (on[2]) {
        trace(g, 1.0, 0.0, -jump_x, 0.0, 1.0, -jump_y);
    }
    if (on[3]) {
        trace(g, 1.0 / scale, 0.0, 0.0, 0.0, 1.0 / scale, 0.0);
    }
    if (on[4]) {
        trace_rotation(g, before);
    }
    if (on[5]) {
        trace(g, 1.0 / stretch, 0.0, 0.0, 0.0, stretch, 0.0);
    }
    if (on[6]) {
        trace_rotation(g, after);
    }
    if (on[7]) {
        trace(g, 1.0, 0.0, -shift_x, 0.0, 1.0, -shift_y);
    }
    for (int i = 0; i < 2; ++i) {
        for (int j = 0; j < 3; ++j) {
            a->inverse[i][j] = g[i][j];
            a->geometry = a->geometry || g[i][j] != (i == j ? 1.0 : 0.0);
        }
    }
}

/* c = (diagonal * 1 + grey * v v^T + turn * [v]x) c for v = (1, 1, 1) / sqrt 3, the axis of greys: covers scaling,
 * reflection, rotation (Rodrigues) and saturation. */
static void about_greys(double c[4][4], double diagonal, double grey, double turn) {
    static const int CROSS[3][3] = {{0, -1, 1}, {1, 0, -1}, {-1, 1, 0}};
    double step[4][4];
    identity(step);
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) {
            step[i][j] = (i == j ? diagonal : 0.0) + grey / 3.0 + turn * CROSS[i][j] / sqrt(3.0);
        }
    }
    multiply(step, c, c);
}

static void draw_color(draws *d, double p, ho_augmentation *a) {
    double c[4][4];
    identity(c);
    bool on[5];
    for (int i = 0; i < 5; ++i) {
        on[i] = draw_uniform(d) < p;
    }
    const double brightness = BRIGHTNESS_STD * draw_normal(d), contrast = exp2(CONTRAST_STD * draw_normal(d));
    const bool flip = draw_uniform(d) < 0.5;
    const double hue = PI * (2.0 * draw_uniform(d) - 1.0), saturation = exp2(SATURATION_STD * draw_normal(d));
    if (on[0]) {
        c[0][3] = c[1][3] = c[2][3] = brightness;
    }
    if (on[1]) {
        about_greys(c, contrast, 0.0, 0.0);
    }
    if (on[2] && flip) {
        about_greys(c, 1.0, -2.0, 0.0);
    }
    if (on[3]) {
        about_greys(c, cos(hue), 1.0 - cos(hue), sin(hue));
    }
    if (on[4]) {
        about_greys(c, saturation, 1.0 - saturation, 0.0);
    }
    for (int i = 0; i < 3; ++i) {
        memcpy(a->matrix[i], c[i], sizeof a->matrix[i]);
    }
}

void ho_augment_identity(ho_augmentation *augmentation) {
    memset(augmentation, 0, sizeof *augmentation);
    augmentation->inverse[0][0] = augmentation->inverse[1][1] = 1.0;
    augmentation->matrix[0][0] = augmentation->matrix[1][1] = augmentation->matrix[2][2] = 1.0;
}

void ho_augment_draw(double p, int64_t H, int64_t W, uint64_t seed, uint64_t stream, uint64_t index,
                     ho_augmentation *augmentation) {
    ho_augment_identity(augmentation);
    draws d = {seed, stream, stream ^ ho_stream_id("augment/normal"), index * DRAWS};
    draw_geometry(&d, p, (double)H, (double)W, augmentation);
    d.next = index * DRAWS + DRAWS / 2;
    draw_color(&d, p, augmentation);
}

/* ---- planning -------------------------------------------------------------------------------------------- */

typedef struct {
    ho_tensor *x, *y;
    ho_k_augment_image *images; /* host, N */
} saved_augment;

/* Reflected border that the corners of the result need, at most n - 1, along axis 0 (x) or 1 (y) of extent `n`. */
static int64_t border_needed(const ho_augmentation *a, int axis, int64_t H, int64_t W, int64_t n) {
    const double cx = 0.5 * (double)(W - 1), cy = 0.5 * (double)(H - 1);
    const double *row = a->inverse[axis];
    const double farthest = fabs(row[0]) * cx + fabs(row[1]) * cy + fabs(row[2]);
    const double need = ceil(farthest + REACH - 0.5 * (double)(n - 1));
    return need < 0 ? 0 : need > (double)(n - 1) ? n - 1 : (int64_t)need;
}

/* With s counting samples, sizes 2 W + 12 on the way out and 2 (W + 2 pad) in `up`: the result's pixel coordinate is
 * (s - W - 5) / 2 from the centre, and a source coordinate q from the centre is number 2 q + W + 2 pad - 1 of `up`. */
static void plan_image(const ho_augmentation *a, int64_t H, int64_t W, ho_k_augment_image *im) {
    memset(im, 0, sizeof *im);
    for (int i = 0; i < 12; ++i) {
        im->color[i] = (ho_real)a->matrix[i / 4][i % 4];
    }
    if (!a->geometry) {
        return;
    }
    im->geometry = 1;
    im->pad_x = border_needed(a, 0, H, W, W);
    im->pad_y = border_needed(a, 1, H, W, H);
    const double far[2] = {(double)(W + 5), (double)(H + 5)};
    const double center[2] = {(double)(W + 2 * im->pad_x - 1), (double)(H + 2 * im->pad_y - 1)};
    for (int axis = 0; axis < 2; ++axis) {
        const double *row = a->inverse[axis];
        im->map[3 * axis] = (ho_real)row[0];
        im->map[3 * axis + 1] = (ho_real)row[1];
        im->map[3 * axis + 2] = (ho_real)(2.0 * row[2] + center[axis] - row[0] * far[0] - row[1] * far[1]);
    }
}

/* Numbers of scratch that one image takes. */
static int64_t scratch_of(const ho_k_augment_image *im, int64_t H, int64_t W) {
    if (im->geometry == 0) {
        return 0;
    }
    const int64_t rows = 2 * (H + 2 * im->pad_y);
    return rows * 3 * (W + 2 * (W + 2 * im->pad_x)) + 3 * (2 * W + 12) * (3 * H + 12) + 3 * H * W;
}

/* Images first.. of a batch, as many as fit the scratch bound (one at least): sets their places in the buffers. */
static int64_t plan_part(ho_k_augment_image *images, int64_t n, int64_t H, int64_t W, ho_k_augment *part) {
    int64_t used = 0;
    memset(part, 0, sizeof *part);
    part->H = H;
    part->W = W;
    int64_t at_up_y = 0, at_up = 0;
    while (part->count < n) {
        ho_k_augment_image *im = &images[part->count];
        used += scratch_of(im, H, W);
        if (part->count > 0 && used > MOST_SCRATCH) {
            break;
        }
        ++part->count;
        if (im->geometry != 0) {
            const int64_t rows = 2 * (H + 2 * im->pad_y);
            im->at_up_y = at_up_y;
            im->at_up = at_up;
            at_up_y += rows * 3 * W;
            at_up += rows * 6 * (W + 2 * im->pad_x);
            part->max_rows = rows > part->max_rows ? rows : part->max_rows;
        }
    }
    return part->count;
}

typedef struct {
    void *images, *numbers;
} part_memory;

static ho_status part_allocate(ho_context *context, ho_k_augment_image *images, ho_k_augment *part,
                               part_memory *memory) {
    memset(memory, 0, sizeof *memory);
    const size_t bytes = (size_t)part->count * sizeof *images;
    HO_TRY(ho_scratch_bytes(context, bytes, &memory->images));
    HO_TRY(ho_device_upload(ho_context_device(context), memory->images, images, bytes));
    part->images = memory->images;
    if (part->max_rows == 0) {
        return HO_OK;
    }
    int64_t up_y = 0, up = 0;
    for (int64_t n = 0; n < part->count; ++n) {
        if (images[n].geometry != 0) {
            const int64_t rows = 2 * (part->H + 2 * images[n].pad_y);
            up_y += rows * 3 * part->W;
            up += rows * 6 * (part->W + 2 * images[n].pad_x);
        }
    }
    const int64_t columns = 3 * (2 * part->W + 12), sampled = part->count * (2 * part->H + 12) * columns;
    const int64_t down_y = part->count * part->H * columns, plain = part->count * part->H * part->W * 3;
    ho_real *numbers;
    HO_TRY(ho_scratch(context, up_y + up + sampled + down_y + plain, &numbers));
    memory->numbers = numbers;
    part->up_y = numbers;
    part->up = part->up_y + up_y;
    part->sampled = part->up + up;
    part->down_y = part->sampled + sampled;
    part->plain = part->down_y + down_y;
    return HO_OK;
}

static void part_free(ho_context *context, const part_memory *memory) {
    if (memory->numbers != NULL) {
        ho_scratch_free(context, memory->numbers);
    }
    if (memory->images != NULL) {
        ho_scratch_free(context, memory->images);
    }
}

/* ---- the operation --------------------------------------------------------------------------------------- */

static ho_status augment_backward(ho_context *context, void *saved) {
    saved_augment *s = saved;
    ho_real *g_x;
    bool accumulate;
    HO_TRY(ho_grad_target(context, s->x, &g_x, &accumulate));
    if (g_x == NULL) {
        return HO_OK;
    }
    const int64_t N = s->x->dim[0], H = s->x->dim[1], W = s->x->dim[2];
    for (int64_t n = 0; n < N;) {
        ho_k_augment part;
        part_memory memory;
        const int64_t count = plan_part(s->images + n, N - n, H, W, &part), at = n * H * W * 3;
        HO_TRY(part_allocate(context, s->images + n, &part, &memory));
        HO_TRY(ho_k_augment_backward(&part, s->y->grad + at, g_x + at, accumulate, ho_context_stream(context)));
        part_free(context, &memory);
        n += count;
    }
    return HO_OK;
}

static ho_status augment(ho_context *context, ho_tensor *x, const ho_augmentation *augmentations, bool offset,
                         ho_tensor **y) {
    HO_REQUIRE(x->rank == 4 && x->dim[3] == 3 && x->dim[1] >= 2 && x->dim[2] >= 2,
               "augment: %s must have the shape (N, H, W, 3) with H and W at least 2", ho_tensor_shape_text(x));
    const int64_t N = x->dim[0], H = x->dim[1], W = x->dim[2];
    HO_TRY(ho_tensor_like(context, x, y));
    void *memory;
    HO_TRY(ho_host_scratch(context, sizeof(saved_augment), &memory));
    saved_augment *s = memory;
    s->x = x;
    s->y = *y;
    HO_TRY(ho_host_scratch(context, (size_t)N * sizeof *s->images, &memory));
    s->images = memory;
    for (int64_t n = 0; n < N; ++n) {
        plan_image(&augmentations[n], H, W, &s->images[n]);
    }
    for (int64_t n = 0; n < N;) {
        ho_k_augment part;
        part_memory scratch;
        const int64_t count = plan_part(s->images + n, N - n, H, W, &part), at = n * H * W * 3;
        HO_TRY(part_allocate(context, s->images + n, &part, &scratch));
        HO_TRY(ho_k_augment_forward(&part, x->data + at, (*y)->data + at, offset, ho_context_stream(context)));
        part_free(context, &scratch);
        n += count;
    }
    if (HO_WANTS_GRAD(context, x)) {
        return ho_tape_push(context, offset ? "augment" : "augment_tangent", *y, augment_backward, s);
    }
    return HO_OK;
}

ho_status ho_augment(ho_context *context, ho_tensor *x, const ho_augmentation *augmentations, ho_tensor **y) {
    return augment(context, x, augmentations, true, y);
}

ho_status ho_augment_tangent(ho_context *context, ho_tensor *x_dot, const ho_augmentation *augmentations,
                             ho_tensor **y_dot) {
    return augment(context, x_dot, augmentations, false, y_dot);
}
