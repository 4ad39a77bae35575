/* Half-precision style-block maps of the labelled images. */
#include "handsoff/feature_cache.h"

#include <stdlib.h>

#include "head.h"

struct ho_feature_cache {
    ho_device *device;
    void *memory; /* all blocks, one after the other */
    int64_t n_images, channels;
    int64_t index[HO_HEAD_MAX_BLOCKS]; /* which style block block[l] is */
    ho_k_head_blocks blocks;
};

/* Elements of block l for one image. */
static int64_t map_size(const ho_k_head_block *block) {
    return block->height * block->width * block->channels;
}

static ho_status describe(ho_feature_cache *cache, const ho_feature_cache_options *options) {
    const ho_stylegan2_shape *generator = options->generator;
    HO_REQUIRE(options->n_blocks >= 1 && options->n_blocks <= HO_HEAD_MAX_BLOCKS && options->n_images >= 1,
               "feature cache: %d style blocks of %lld images; right are 1 to %d blocks and at least one image",
               options->n_blocks, (long long)options->n_images, (int)HO_HEAD_MAX_BLOCKS);
    cache->n_images = options->n_images;
    cache->blocks.n = options->n_blocks;
    cache->blocks.H = options->H;
    cache->blocks.W = options->W;
    for (int l = 0; l < options->n_blocks; ++l) {
        ho_k_head_block *block = &cache->blocks.block[l];
        cache->index[l] = options->block[l];
        block->height = ho_style_block_height(generator, options->block[l]);
        block->width = block->height * generator->width / generator->height;
        block->channels = ho_style_block_channels(generator, options->block[l]);
        cache->channels += block->channels;
    }
    return HO_OK;
}

static ho_status reserve(ho_feature_cache *cache, double max_bytes) {
    int64_t elements = 0;
    for (int l = 0; l < cache->blocks.n; ++l) {
        elements += cache->n_images * map_size(&cache->blocks.block[l]);
    }
    const double bytes = (double)elements * sizeof(uint16_t);
    if (bytes > max_bytes) {
        HO_FAIL(HO_ECONFIG,
                "the features of %lld labelled images need %.3f GB, head.cache_gb allows %.3f: raise it, or use fewer "
                "style "
                "blocks (head.blocks) or images (labelled)",
                (long long)cache->n_images, bytes / 1e9, max_bytes / 1e9);
    }
    HO_TRY(ho_device_alloc(cache->device, (size_t)elements * sizeof(uint16_t), &cache->memory));
    ho_device_touch(cache->device, cache->memory, (size_t)elements * sizeof(uint16_t));
    const uint16_t *next = cache->memory;
    for (int l = 0; l < cache->blocks.n; ++l) {
        cache->blocks.block[l].map = next;
        next += cache->n_images * map_size(&cache->blocks.block[l]);
    }
    return HO_OK;
}

ho_status ho_feature_cache_create(ho_device *device, const ho_feature_cache_options *options,
                                  ho_feature_cache **cache) {
    ho_feature_cache *made = calloc(1, sizeof *made);
    if (made == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for a feature cache");
    }
    made->device = device;
    ho_status status = describe(made, options);
    if (status == HO_OK) {
        status = reserve(made, options->max_bytes);
    }
    if (status != HO_OK) {
        ho_feature_cache_free(made);
        return status;
    }
    *cache = made;
    return HO_OK;
}

void ho_feature_cache_free(ho_feature_cache *cache) {
    if (cache != NULL) {
        ho_device_free(cache->device, cache->memory);
        free(cache);
    }
}

int64_t ho_feature_cache_channels(const ho_feature_cache *cache) {
    return cache->channels;
}

ho_status ho_feature_cache_put(ho_context *context, ho_feature_cache *cache, int64_t first,
                               const ho_style_blocks *blocks) {
    for (int l = 0; l < cache->blocks.n; ++l) {
        const ho_k_head_block *block = &cache->blocks.block[l];
        HO_REQUIRE(cache->index[l] < blocks->n, "feature cache: style block %lld of a generator that has %d",
                   (long long)cache->index[l], blocks->n);
        const ho_tensor *map = blocks->map[cache->index[l]];
        HO_REQUIRE(
            map->rank == 4 && map->dim[1] == block->height && map->dim[2] == block->width &&
                map->dim[3] == block->channels && first >= 0 && first + map->dim[0] <= cache->n_images,
            "feature cache: style block %lld is %s for images from %lld on; right is (at most %lld, %lld, %lld, %lld)",
            (long long)cache->index[l], ho_tensor_shape_text(map), (long long)first,
            (long long)(cache->n_images - first), (long long)block->height, (long long)block->width,
            (long long)block->channels);
        uint16_t *to = (uint16_t *)cache->memory + (block->map - (const uint16_t *)cache->memory);
        HO_TRY(
            ho_k_head_pack(map->data, ho_tensor_count(map), to + first * map_size(block), ho_context_stream(context)));
    }
    return HO_OK;
}

ho_status ho_feature_cache_gather(ho_context *context, const ho_feature_cache *cache, const int64_t *pixel,
                                  int64_t count, int64_t per_row, ho_tensor **rows) {
    HO_REQUIRE(count >= 1 && per_row >= 1 && count % per_row == 0,
               "feature cache: %lld pixels cannot be laid out %lld a row", (long long)count, (long long)per_row);
    const int64_t n_pixels = cache->n_images * cache->blocks.H * cache->blocks.W;
    for (int64_t i = 0; i < count; ++i) {
        HO_REQUIRE(pixel[i] >= 0 && pixel[i] < n_pixels, "feature cache: pixel %lld of %lld", (long long)pixel[i],
                   (long long)n_pixels);
    }
    void *on_device = NULL;
    const size_t bytes = (size_t)count * sizeof *pixel;
    HO_TRY(ho_tensor_new(context, HO_SHAPE(count / per_row, per_row * cache->channels), rows));
    HO_TRY(ho_scratch_bytes(context, bytes, &on_device));
    HO_TRY(ho_device_upload(cache->device, on_device, pixel, bytes));
    HO_TRY(ho_k_head_gather(&cache->blocks, on_device, count, (*rows)->data, ho_context_stream(context)));
    ho_scratch_free(context, on_device);
    return HO_OK;
}
