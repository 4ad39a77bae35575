/* The label head: an ensemble of M pixel classifiers on style-block maps F_l (h_l, w_l, C_l)
 * (austinxu87/handsoff, train_label_generator.py and generate_data.py; Zhang et al. 2021, "DatasetGAN").
 *
 * Hypercolumn of pixel p: x(p) = concat_l (R_l F_l)(p), R_l the bilinear resampling to (H, W). Member m computes
 *   relu(W1 x + b1) -> batch norm -> relu(W2 . + b2) -> batch norm -> W3 . + b3 -> softmax p_m.
 * Whole images: sum_l (R_l F_l) W1_l = sum_l R_l (F_l W1_l) = sum_l R_l G_l. Blocks smaller than the labels are
 * multiplied first: the products G_l (h_l, w_l, M h1) come from one matrix product a block for all members, and hidden
 * units are resampled, a tile of pixels at a time. The others are resampled first and multiplied at the labels' size.
 * Vote: label = mode over m of argmax_k p_m (ties: the smallest class). Uncertainty: JS = H(mean_m p_m) - mean_m
 * H(p_m), H(p) = -sum_k p_k ln p_k = ln S - (sum_k e_k (l_k - max)) / S with e_k = exp(l_k - max), S = sum_k e_k.
 * Layout: units of all members side by side, so that the inner loops run over M h1 contiguous numbers. */
#include "head.h"

#include "real.h"

#if defined(__CUDACC__)
#include <cuda_fp16.h>
typedef __half head_half;
#elif defined(__clang__)
typedef __fp16 head_half;
#else
typedef _Float16 head_half;
#endif

/* ---- training -------------------------------------------------------------------------------------------- */

HO_KERNEL pack_kernel(const ho_real *HO_RESTRICT from, int64_t count, uint16_t *to) {
    head_half *half = (head_half *)to;
    HO_GRID_LOOP (i, count) {
        const float v = (float)from[i];
        half[i] = (head_half)(v > 65504.0F ? 65504.0F : v < -65504.0F ? -65504.0F : v);
    }
}

ho_status ho_k_head_pack(const ho_real *from, int64_t count, uint16_t *to, ho_stream stream) {
    HO_LAUNCH(pack_kernel, ho_grid(count, 256), 256, 0, stream, from, count, to);
    return HO_LAUNCH_STATUS("head_pack");
}

/* The exact value of a finite half. Written with integers on cpu because gcc 12 does not vectorise conversions of
 * _Float16: shifted into a float's fields the exponent is 112 too small, which the product mends, for subnormal numbers
 * too. */
HO_DEVICE ho_real half_value(uint16_t bits) {
#ifdef __CUDACC__
    return (ho_real)__half2float(__ushort_as_half(bits));
#else
    const uint32_t magnitude = (uint32_t)(bits & 0x7fffU) << 13;
    union {
        uint32_t bits;
        float value;
    } v;
    v.bits = magnitude;
    v.value *= 0x1p112F;
    v.bits |= (uint32_t)(bits & 0x8000U) << 16;
    return (ho_real)v.value;
#endif
}

/* One row: channels of every block at one pixel, mixed from four positions. */
HO_DEVICE void gather_block(const ho_k_head_block *block, int64_t image, ho_head_tap h, ho_head_tap w,
                            ho_real *HO_RESTRICT to) {
    const int64_t C = block->channels;
    const uint16_t *map = block->map + image * block->height * block->width * C;
    const uint16_t *HO_RESTRICT a = map + (h.low * block->width + w.low) * C;
    const uint16_t *HO_RESTRICT b = map + (h.low * block->width + w.high) * C;
    const uint16_t *HO_RESTRICT c = map + (h.high * block->width + w.low) * C;
    const uint16_t *HO_RESTRICT d = map + (h.high * block->width + w.high) * C;
    const ho_real wa = (1 - h.weight) * (1 - w.weight), wb = (1 - h.weight) * w.weight;
    const ho_real wc = h.weight * (1 - w.weight), wd = h.weight * w.weight;
    HO_BLOCK_LOOP (i, C) {
        to[i] = wa * half_value(a[i]) + wb * half_value(b[i]) + wc * half_value(c[i]) + wd * half_value(d[i]);
    }
}

HO_KERNEL gather_kernel(ho_k_head_blocks blocks, const int64_t *pixel, int64_t count, int64_t C_total, ho_real *rows) {
    HO_GRID_BLOCKS (r, count) {
        const int64_t line = pixel[r] / blocks.W, image = line / blocks.H;
        const int64_t y = line - image * blocks.H, x = pixel[r] - line * blocks.W;
        ho_real *to = rows + r * C_total;
        for (int l = 0; l < blocks.n; ++l) {
            const ho_k_head_block *block = &blocks.block[l];
            gather_block(block, image, ho_head_tap_at(y, block->height, blocks.H),
                         ho_head_tap_at(x, block->width, blocks.W), to);
            to += block->channels;
        }
    }
}

ho_status ho_k_head_gather(const ho_k_head_blocks *blocks, const int64_t *pixel, int64_t count, ho_real *rows,
                           ho_stream stream) {
    int64_t C_total = 0;
    for (int l = 0; l < blocks->n; ++l) {
        C_total += blocks->block[l].channels;
    }
    HO_LAUNCH(gather_kernel, ho_grid_blocks(count, 4 * C_total), 128, 0, stream, *blocks, pixel, count, C_total, rows);
    return HO_LAUNCH_STATUS("head_gather");
}

/* ---- inference ------------------------------------------------------------------------------------------- */

static int64_t at_most(int64_t a, int64_t b) {
    return a < b ? a : b;
}

ho_k_head_cut ho_k_head_cut_for(int64_t H, int64_t W, int64_t members, int64_t h1) {
    ho_k_head_cut cut;
#ifdef __CUDACC__
    const int64_t row = W * members * h1 * (int64_t)sizeof(ho_real), rows = ((int64_t)256 << 20) / row;
    cut.height = at_most(H, rows < 1 ? 1 : rows);
    cut.width = W;
    cut.members = members;
#else
    (void)h1;
    cut.height = at_most(H, 8);
    cut.width = at_most(W, 64);
    cut.members = at_most(members, 1);
#endif
    return cut;
}

HO_KERNEL fold_kernel(ho_k_head_fold_args f) {
    HO_GRID_BLOCKS (r, f.members * f.O) {
        const int64_t norm = r / f.O * f.I; /* first unit of the row's member */
        ho_real sum = 0;
        HO_BLOCK_LOOP (i, f.I) {
            const ho_real scale = f.weight[norm + i] / (ho_real)sqrt((double)f.var[norm + i] + 1e-5);
            const ho_real shift = f.bias[norm + i] - f.mean[norm + i] * scale;
            f.folded[r * f.I + i] = f.w[r * f.I + i] * scale;
            sum += f.w[r * f.I + i] * shift;
        }
        sum = ho_block_sum(sum);
        HO_BLOCK_LOOP (one, 1) {
            f.folded_bias[r + one] = f.bias_out[r + one] + sum;
        }
    }
}

ho_status ho_k_head_fold(const ho_k_head_fold_args *args, ho_stream stream) {
    HO_LAUNCH(fold_kernel, ho_grid_blocks(args->members * args->O, args->I), 128, 0, stream, *args);
    return HO_LAUNCH_STATUS("head_fold");
}

/* Columns of a group lie in one cache line. */
enum { TRANSPOSED_COLUMNS = 16 };

HO_KERNEL transpose_kernel(const ho_real *HO_RESTRICT from, int64_t count, int64_t rows, int64_t cols,
                           ho_real *HO_RESTRICT to) {
    const int64_t groups = (cols + TRANSPOSED_COLUMNS - 1) / TRANSPOSED_COLUMNS;
    HO_GRID_BLOCKS (g, count * groups) {
        const int64_t matrix = g / groups * rows * cols, first = g % groups * TRANSPOSED_COLUMNS;
        HO_BLOCK_LOOP (i, rows * TRANSPOSED_COLUMNS) {
            const int64_t r = i / TRANSPOSED_COLUMNS, c = first + i % TRANSPOSED_COLUMNS;
            if (c < cols) {
                to[matrix + c * rows + r] = from[matrix + r * cols + c];
            }
        }
    }
}

ho_status ho_k_head_transpose(const ho_real *from, int64_t count, int64_t rows, int64_t cols, ho_real *to,
                              ho_stream stream) {
    const int64_t groups = (cols + TRANSPOSED_COLUMNS - 1) / TRANSPOSED_COLUMNS;
    HO_LAUNCH(transpose_kernel, ho_grid_blocks(count * groups, rows * TRANSPOSED_COLUMNS), 256, 0, stream, from, count,
              rows, cols, to);
    return HO_LAUNCH_STATUS("head_transpose");
}

/* One map at one label pixel. */
HO_DEVICE void resample_map(const ho_k_head_map *map, ho_head_tap h, ho_head_tap w, ho_real *HO_RESTRICT to) {
    const int64_t C = map->channels;
    const ho_real *HO_RESTRICT a = map->map + (h.low * map->width + w.low) * C;
    const ho_real *HO_RESTRICT b = map->map + (h.low * map->width + w.high) * C;
    const ho_real *HO_RESTRICT c = map->map + (h.high * map->width + w.low) * C;
    const ho_real *HO_RESTRICT d = map->map + (h.high * map->width + w.high) * C;
    const ho_real wa = (1 - h.weight) * (1 - w.weight), wb = (1 - h.weight) * w.weight;
    const ho_real wc = h.weight * (1 - w.weight), wd = h.weight * w.weight;
    if (h.weight == 0 && w.weight == 0) {
        HO_BLOCK_LOOP (i, C) {
            to[i] = a[i];
        }
        return;
    }
    HO_BLOCK_LOOP (i, C) {
        to[i] = (wa * a[i] + wb * b[i]) + (wc * c[i] + wd * d[i]);
    }
}

HO_KERNEL resample_tile_kernel(ho_k_head_maps maps, ho_k_head_tile tile, int64_t C, ho_real *rows) {
    HO_GRID_BLOCKS (t, tile.height * tile.width) {
        const int64_t line = t / tile.width, y = tile.y + line, x = tile.x + t - line * tile.width;
        ho_real *to = rows + t * C;
        for (int l = 0; l < maps.n; ++l) {
            const ho_k_head_map *map = &maps.map[l];
            resample_map(map, ho_head_tap_at(y, map->height, maps.H), ho_head_tap_at(x, map->width, maps.W), to);
            to += map->channels;
        }
    }
}

ho_status ho_k_head_resample(const ho_k_head_maps *maps, const ho_k_head_tile *tile, ho_real *rows, ho_stream stream) {
    const int64_t count = tile->height * tile->width;
    int64_t C = 0;
    for (int l = 0; l < maps->n; ++l) {
        C += maps->map[l].channels;
    }
    HO_LAUNCH(resample_tile_kernel, ho_grid_blocks(count, 4 * C), 128, 0, stream, *maps, *tile, C, rows);
    return HO_LAUNCH_STATUS("head_resample");
}

/* Units that are computed together: one a thread on cuda, a vector on cpu. */
#ifdef __CUDACC__
typedef ho_real head_lanes;
enum { LANES = 1 };
#else
typedef ho_real head_lanes __attribute__((vector_size(64), aligned(sizeof(ho_real)), may_alias));
enum { LANES = 64 / sizeof(ho_real) };
#endif

/* The first n of LANES numbers at `from`. */
HO_DEVICE head_lanes take_lanes(const ho_real *from, int64_t n) {
#ifdef __CUDACC__
    (void)n;
    return *from;
#else
    if (n >= LANES) {
        return *(const head_lanes *)from;
    }
    head_lanes v = {0};
    for (int64_t i = 0; i < n; ++i) {
        v[i] = from[i];
    }
    return v;
#endif
}

HO_DEVICE void put_relu(ho_real *to, head_lanes v, int64_t n) {
#ifdef __CUDACC__
    (void)n;
    *to = v > 0 ? v : 0;
#else
    for (int64_t i = 0; i < (n < LANES ? n : LANES); ++i) {
        to[i] = v[i] > 0 ? v[i] : 0;
    }
#endif
}

/* sum[i] += pixel i's share of one level: rows are mixed once a column, columns once a pixel. */
HO_DEVICE void add_level(const ho_k_head_level *level, int64_t all, int64_t y, int64_t group, int64_t first, int64_t n,
                         head_lanes *sum) {
    const ho_head_tap tap = level->rows[y];
    const ho_k_head_columns *columns = &level->columns[group];
    const ho_real *top = level->map + ((tap.low - level->row0) * level->width + columns->first) * all + first;
    const ho_real *bottom = level->map + ((tap.high - level->row0) * level->width + columns->first) * all + first;
    for (int j = 0; j < columns->count; ++j) {
        const head_lanes mixed =
            (1 - tap.weight) * take_lanes(top + j * all, n) + tap.weight * take_lanes(bottom + j * all, n);
        for (int i = 0; i < HO_HEAD_GROUP; ++i) {
            sum[i] += columns->weight[j][i] * mixed;
        }
    }
}

HO_KERNEL hidden_kernel(ho_k_head_levels levels, ho_k_head_part part, const ho_real *bias, ho_real *hidden) {
    const int64_t groups = (part.tile.width + HO_HEAD_GROUP - 1) / HO_HEAD_GROUP;
    HO_GRID_BLOCKS (g, part.tile.height * groups) {
        const int64_t line = g / groups, x = (g - line * groups) * HO_HEAD_GROUP, left = part.tile.width - x;
        ho_real *out = hidden + (line * part.tile.width + x) * part.units;
        HO_BLOCK_LOOP (lanes, (part.units + LANES - 1) / LANES) {
            const int64_t u = lanes * LANES, n = part.units - u;
            head_lanes sum[HO_HEAD_GROUP];
            for (int i = 0; i < HO_HEAD_GROUP; ++i) {
                sum[i] = take_lanes(bias + part.first + u, n);
                if (part.add && i < left) {
                    sum[i] += take_lanes(out + i * part.units + u, n);
                }
            }
            for (int l = 0; l < levels.n; ++l) {
                add_level(&levels.level[l], levels.units, part.tile.y + line, (part.tile.x + x) / HO_HEAD_GROUP,
                          part.first + u, n, sum);
            }
            for (int i = 0; i < HO_HEAD_GROUP && i < left; ++i) {
                put_relu(out + i * part.units + u, sum[i], n);
            }
        }
    }
}

ho_status ho_k_head_hidden(const ho_k_head_levels *levels, const ho_k_head_part *part, const ho_real *bias,
                           ho_real *hidden, ho_stream stream) {
    const int64_t groups = part->tile.height * ((part->tile.width + HO_HEAD_GROUP - 1) / HO_HEAD_GROUP);
    HO_LAUNCH(hidden_kernel, ho_grid_blocks(groups, HO_HEAD_GROUP * part->units * (levels->n + 1)), 256, 0, stream,
              *levels, *part, bias, hidden);
    return HO_LAUNCH_STATUS("head_hidden");
}

HO_KERNEL bias_relu_kernel(ho_real *HO_RESTRICT x, const ho_real *HO_RESTRICT bias, int64_t count, int64_t units) {
    HO_GRID_BLOCKS (t, count) {
        ho_real *HO_RESTRICT row = x + t * units;
        HO_BLOCK_LOOP (u, units) {
            const ho_real v = row[u] + bias[u];
            row[u] = v > 0 ? v : 0;
        }
    }
}

ho_status ho_k_head_bias_relu(ho_real *x, const ho_real *bias, int64_t count, int64_t units, ho_stream stream) {
    HO_LAUNCH(bias_relu_kernel, ho_grid_blocks(count, units), 256, 0, stream, x, bias, count, units);
    return HO_LAUNCH_STATUS("head_bias_relu");
}

/* Adds one member's softmax to `mean` (unscaled), returns its entropy and its vote. */
HO_DEVICE ho_real member_entropy(const ho_real *logits, const ho_real *bias, int64_t classes, ho_real *mean,
                                 int64_t *vote) {
    ho_real e[HO_HEAD_MAX_CLASSES];
    int64_t best = 0;
    e[0] = logits[0] + bias[0];
    for (int64_t k = 1; k < classes; ++k) {
        e[k] = logits[k] + bias[k];
        best = e[k] > e[best] ? k : best;
    }
    const ho_real top = e[best];
    ho_real sum = 0, weighted = 0;
    for (int64_t k = 0; k < classes; ++k) {
        const ho_real below = e[k] - top;
        e[k] = ho_exp(below);
        sum += e[k];
        weighted += e[k] * below;
    }
    for (int64_t k = 0; k < classes; ++k) {
        mean[k] += e[k] / sum;
    }
    *vote = best;
    return ho_log(sum) - weighted / sum;
}

HO_KERNEL vote_kernel(const ho_real *logits, const ho_real *bias, int64_t count, int64_t members, int64_t classes,
                      uint8_t *label, ho_real *js) {
    HO_GRID_LOOP (t, count) {
        ho_real mean[HO_HEAD_MAX_CLASSES];
        int votes[HO_HEAD_MAX_CLASSES] = {0};
        for (int64_t k = 0; k < classes; ++k) {
            mean[k] = 0;
        }
        ho_real entropy = 0;
        for (int64_t m = 0; m < members; ++m) {
            int64_t vote = 0;
            entropy += member_entropy(logits + (t * members + m) * classes, bias + m * classes, classes, mean, &vote);
            votes[vote] += 1;
        }
        int64_t mode = 0;
        ho_real mixed = 0;
        for (int64_t k = 0; k < classes; ++k) {
            const ho_real p = mean[k] / (ho_real)members;
            mixed -= p > 0 ? p * ho_log(p) : 0;
            mode = votes[k] > votes[mode] ? k : mode;
        }
        const ho_real divergence = mixed - entropy / (ho_real)members;
        label[t] = (uint8_t)mode;
        js[t] = divergence < 0 ? 0 : divergence; /* rounding may leave -1e-8; a NaN stays visible */
    }
}

ho_status ho_k_head_vote(const ho_real *logits, const ho_real *bias, int64_t count, int64_t members, int64_t classes,
                         uint8_t *label, ho_real *js, ho_stream stream) {
    /* exp costs about 32 additions, which is what the grid rule counts. */
    HO_LAUNCH(vote_kernel, ho_grid(count * members * classes * 32, 128), 128, 0, stream, logits, bias, count, members,
              classes, label, js);
    return HO_LAUNCH_STATUS("head_vote");
}
