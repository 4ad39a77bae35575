/* NumPy's legacy RandomState: MT19937 (Matsumoto & Nishimura 1998) and Marsaglia's polar method. The official
 * StyleGAN2 tools draw z this way, so that the same seed gives the same image. */
#include "handsoff/random.h"

#include <math.h>

enum { STATE = 624, MIDDLE = 397 };

void ho_numpy_seed(ho_numpy_random *random, uint32_t seed) {
    random->state[0] = seed;
    for (uint32_t i = 1; i < STATE; ++i) {
        const uint32_t before = random->state[i - 1];
        random->state[i] = 1812433253U * (before ^ (before >> 30)) + i;
    }
    random->position = STATE;
    random->has_spare = 0;
    random->spare = 0.0;
}

static void refill(ho_numpy_random *random) {
    uint32_t *state = random->state;
    for (int i = 0; i < STATE; ++i) {
        const uint32_t joined = (state[i] & 0x80000000U) | (state[(i + 1) % STATE] & 0x7fffffffU);
        state[i] = state[(i + MIDDLE) % STATE] ^ (joined >> 1) ^ ((joined & 1U) != 0 ? 0x9908b0dfU : 0U);
    }
    random->position = 0;
}

static uint32_t next_word(ho_numpy_random *random) {
    if (random->position == STATE) {
        refill(random);
    }
    uint32_t y = random->state[random->position++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680U;
    y ^= (y << 15) & 0xefc60000U;
    return y ^ (y >> 18);
}

static double next_unit(ho_numpy_random *random) {
    const uint32_t high = next_word(random) >> 5;
    const uint32_t low = next_word(random) >> 6;
    return (high * 67108864.0 + low) / 9007199254740992.0;
}

double ho_numpy_randn(ho_numpy_random *random) {
    if (random->has_spare) {
        random->has_spare = 0;
        return random->spare;
    }
    double x1, x2, r;
    do {
        x1 = 2.0 * next_unit(random) - 1.0;
        x2 = 2.0 * next_unit(random) - 1.0;
        r = x1 * x1 + x2 * x2;
    } while (r >= 1.0 || r == 0.0);
    const double f = sqrt(-2.0 * log(r) / r);
    random->spare = f * x1;
    random->has_spare = 1;
    return f * x2;
}
