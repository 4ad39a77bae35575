/* Minibatch standard deviation (Karras et al. 2018, "Progressive growing of GANs", section 3; grouped as in
 * stylegan2-ada-pytorch, training/networks.py: MinibatchStdLayer).
 * Group m has the members g = m, m + M, ..., M = N / G; f runs over the F values of a sample. With
 * u = x - mean over the group:
 *   sd[f] = sqrt(mean_g u^2 + 1e-8),  stat[m] = mean_f sd[f]
 *   d stat / d x[g,f] = u / (F G sd)                                         (the mean drops out: sum_g u = 0)
 * Tangent along x_dot, T[f] = sum_g u x_dot / (G sd):  stat_dot[m] = mean_f T[f]
 *   d stat_dot / d x_dot[g,f] = u / (F G sd)
 *   d stat_dot / d x[g,f]     = (v - u T / sd) / (F G sd),  v = x_dot - mean over the group of x_dot
 * One block a group; a thread takes the same f in every member, so no barrier but that of the sum is needed. */
#include "minibatch_std.h"

#include <stddef.h>

#include "real.h"
#include "segments.h"

enum { WIDTH = 256 };

typedef struct {
    ho_real mean, mean_dot, sd, T;
} group_stats;

/* Statistics over the G values x[0], x[stride], ...; x_dot may be NULL. */
HO_DEVICE group_stats group_stats_of(int64_t G, int64_t stride, const ho_real *x, const ho_real *x_dot) {
    group_stats s = {HO_R(0.0), HO_R(0.0), HO_R(0.0), HO_R(0.0)};
    for (int64_t g = 0; g < G; ++g) {
        s.mean += x[g * stride] / (ho_real)G;
        s.mean_dot += x_dot != NULL ? x_dot[g * stride] / (ho_real)G : HO_R(0.0);
    }
    for (int64_t g = 0; g < G; ++g) {
        const ho_real u = x[g * stride] - s.mean;
        s.sd += u * u / (ho_real)G;
        s.T += x_dot != NULL ? u * x_dot[g * stride] / (ho_real)G : HO_R(0.0);
    }
    s.sd = ho_sqrt(s.sd + HO_R(1e-8));
    s.T /= s.sd;
    return s;
}

HO_KERNEL mbstd(ho_mbstd_shape s, const ho_real *HO_RESTRICT x, const ho_real *HO_RESTRICT x_dot,
                ho_real *HO_RESTRICT stat) {
    const int64_t M = s.N / s.G, F = s.pixels * s.C;
    HO_GRID_BLOCKS (m, M) {
        ho_real sum = HO_R(0.0);
        HO_BLOCK_LOOP (f, F) {
            const group_stats v = group_stats_of(s.G, M * F, x + m * F + f, x_dot != NULL ? x_dot + m * F + f : NULL);
            sum += x_dot != NULL ? v.T : v.sd;
        }
        sum = ho_block_sum(sum) / (ho_real)F;
        HO_BLOCK_LOOP (one, 1) {
            stat[m] = sum;
        }
    }
}

HO_KERNEL mbstd_spread(ho_mbstd_shape s, const ho_real *HO_RESTRICT stat, ho_real *HO_RESTRICT y) {
    const int64_t M = s.N / s.G;
    HO_GRID_BLOCKS (n, s.N) {
        HO_BLOCK_LOOP (p, s.pixels) {
            y[(n * s.pixels + p) * (s.C + 1) + s.C] = stat[n % M];
        }
    }
}

HO_KERNEL mbstd_gather(ho_mbstd_shape s, const ho_real *HO_RESTRICT g_y, ho_real *HO_RESTRICT g_stat) {
    const int64_t M = s.N / s.G;
    HO_GRID_BLOCKS (m, M) {
        ho_real sum = HO_R(0.0);
        for (int64_t n = m; n < s.N; n += M) {
            HO_BLOCK_LOOP (p, s.pixels) {
                sum += g_y[(n * s.pixels + p) * (s.C + 1) + s.C];
            }
        }
        sum = ho_block_sum(sum);
        HO_BLOCK_LOOP (one, 1) {
            g_stat[m] = sum;
        }
    }
}

HO_KERNEL mbstd_backward(ho_mbstd_shape s, const ho_real *HO_RESTRICT x, const ho_real *HO_RESTRICT x_dot,
                         const ho_real *HO_RESTRICT g_stat, ho_real *HO_RESTRICT g_x) {
    const int64_t M = s.N / s.G, F = s.pixels * s.C, stride = M * F;
    HO_GRID_BLOCKS (m, M) {
        HO_BLOCK_LOOP (f, F) {
            const ho_real *from = x + m * F + f, *from_dot = x_dot != NULL ? x_dot + m * F + f : NULL;
            const group_stats v = group_stats_of(s.G, stride, from, from_dot);
            const ho_real gain = g_stat[m] / ((ho_real)F * (ho_real)s.G * v.sd);
            for (int64_t g = 0; g < s.G; ++g) {
                const ho_real u = from[g * stride] - v.mean;
                g_x[m * F + f + g * stride] +=
                    gain * (x_dot != NULL ? from_dot[g * stride] - v.mean_dot - u * v.T / v.sd : u);
            }
        }
    }
}

static int64_t groups_grid(const ho_mbstd_shape *s) {
    return ho_grid_blocks(s->N / s->G, s->G * s->pixels * s->C);
}

ho_status ho_k_mbstd(ho_stream stream, const ho_mbstd_shape *s, const ho_real *x, const ho_real *x_dot, ho_real *stat) {
    HO_LAUNCH(mbstd, groups_grid(s), WIDTH, 0, stream, *s, x, x_dot, stat);
    return HO_LAUNCH_STATUS("mbstd");
}

ho_status ho_k_mbstd_spread(ho_stream stream, const ho_mbstd_shape *s, const ho_real *stat, ho_real *y) {
    HO_LAUNCH(mbstd_spread, ho_grid_blocks(s->N, s->pixels), ho_row_width(s->pixels), 0, stream, *s, stat, y);
    return HO_LAUNCH_STATUS("mbstd_spread");
}

ho_status ho_k_mbstd_gather(ho_stream stream, const ho_mbstd_shape *s, const ho_real *g_y, ho_real *g_stat) {
    HO_LAUNCH(mbstd_gather, ho_grid_blocks(s->N / s->G, s->G * s->pixels), ho_row_width(s->pixels), 0, stream, *s, g_y,
              g_stat);
    return HO_LAUNCH_STATUS("mbstd_gather");
}

ho_status ho_k_mbstd_backward(ho_stream stream, const ho_mbstd_shape *s, const ho_real *x, const ho_real *x_dot,
                              const ho_real *g_stat, ho_real *g_x) {
    HO_LAUNCH(mbstd_backward, groups_grid(s), WIDTH, 0, stream, *s, x, x_dot, g_stat, g_x);
    return HO_LAUNCH_STATUS("mbstd_backward");
}
