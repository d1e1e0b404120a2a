/* Standard Gumbel noise from random words, as sampling.py makes it: Philox-4x32-10 (Salmon et al.,
 * SC'11), and logarithms in double precision. */

#include "kernels.h"

/* The high and the low words of products with a factor. */
INLINE void multiply_words(__m512i x, uint32_t factor, __m512i *high, __m512i *low) {
    const __m512i factors = _mm512_set1_epi64(factor);
    __m512i even = _mm512_mul_epu32(x, factors);
    __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(x, 32), factors);
    *high = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
    *low = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
}

INLINE __m512i lanes(void) {
    return _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
}

/* Four random words for each of sixteen counters (block + lane, step, 0, 0). */
INLINE void philox(int64_t block, uint32_t step, uint64_t seed, __m512i x[4]) {
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    x[0] = _mm512_add_epi32(_mm512_set1_epi32((int32_t)block), lanes());
    x[1] = _mm512_set1_epi32((int32_t)step);
    x[2] = x[3] = _mm512_setzero_si512();
    for (int round = 0; round < 10; round++) {
        __m512i high0, low0, high2, low2;
        multiply_words(x[0], 0xD2511F53, &high0, &low0);
        multiply_words(x[2], 0xCD9E8D57, &high2, &low2);
        x[0] = _mm512_ternarylogic_epi32(high2, x[1], _mm512_set1_epi32((int32_t)key0), 0x96);
        x[2] = _mm512_ternarylogic_epi32(high0, x[3], _mm512_set1_epi32((int32_t)key1), 0x96);
        x[1] = low2;
        x[3] = low0;
        key0 += 0x9E3779B9;
        key1 += 0xBB67AE85;
    }
}

/* log x = n log 2 + log m for x = 2^n m, and log m = 2 (s + s^3 / 3 + s^5 / 5 ...) for
 * s = (m - 1) / (m + 1). With m between the roots of 1/2 and 2, twelve terms are enough. */
INLINE __m512d logarithm(__m512d x) {
    const __m512d one = _mm512_set1_pd(1);
    __m512d n = _mm512_getexp_pd(x), m = _mm512_getmant_pd(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src);
    const __m512d root = _mm512_set1_pd(1.4142135623730951);
    const __mmask8 is_large = _mm512_cmp_pd_mask(m, root, _CMP_GT_OQ);
    n = _mm512_mask_add_pd(n, is_large, n, one);
    m = _mm512_mask_mul_pd(m, is_large, m, _mm512_set1_pd(0.5));
    __m512d s = _mm512_div_pd(_mm512_sub_pd(m, one), _mm512_add_pd(m, one));
    __m512d square = _mm512_mul_pd(s, s), series = _mm512_set1_pd(1.0 / 23);
    for (int i = 21; i > 1; i -= 2)
        series = _mm512_fmadd_pd(series, square, _mm512_set1_pd(1.0 / i));
    s = _mm512_add_pd(s, s);
    __m512d log_m = _mm512_fmadd_pd(_mm512_mul_pd(series, square), s, s);
    return _mm512_fmadd_pd(n, _mm512_set1_pd(0.69314718055994531), log_m);
}

/* -log(-log((word + 1/2) / 2^32)) */
INLINE __m256 gumbel(__m256i words) {
    __m512d uniform = _mm512_add_pd(_mm512_cvtepu32_pd(words), _mm512_set1_pd(0.5));
    uniform = _mm512_mul_pd(uniform, _mm512_set1_pd(0x1p-32));
    const __m512d zero = _mm512_setzero_pd();
    __m512d twice = logarithm(_mm512_sub_pd(zero, logarithm(uniform)));
    return _mm512_cvtpd_ps(_mm512_sub_pd(zero, twice));
}

/* out: [rows, num], where num is a multiple of 64. */
EXPORTED void janus_gumbel(const uint64_t *seeds, const int64_t *steps, float *out, int64_t rows,
                           int64_t num, int threads) {
    const __m512i fours = _mm512_mullo_epi32(lanes(), _mm512_set1_epi32(4));
#pragma omp parallel for collapse(2) schedule(static) num_threads(rows *num < 32768 ? 1 : threads)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = 0; i < num; i += 64) {
            __m512i words[4];
            philox(i / 4, (uint32_t)steps[row], seeds[row], words);
            for (int j = 0; j < 4; j++) {
                __m256 low = gumbel(_mm512_castsi512_si256(words[j]));
                __m256 high = gumbel(_mm512_extracti64x4_epi64(words[j], 1));
                __m512 noise = _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
                _mm512_i32scatter_ps(out + row * num + i + j, fours, noise, 4);
            }
        }
}
