/* A vision transformer as the steps that it is made of. A function that is `shared` is called by all
 * threads of a team, and returns when its work is done by all of them. */

#pragma once

#include "squares.h"

enum { NORM, PRODUCT, SUM, GELU, ATTENTION };

/* Takes the numbers of one buffer, leaves others in another: their norm, their product with the
 * weights, which SUM adds to what is there and GELU goes through, or their attention. */
typedef struct {
    const uint16_t *weight, *bias; /* [inputs], or squares and [outputs] */
    int64_t inputs, outputs, heads;
    float epsilon;
    int kind, from, to;
} PictureStep;

/* Its numbers lie in squares [pictures, rows / 32, inputs / 32]. Rows that are no picture's hold
 * whatever comes of zeros. */
typedef struct {
    const PictureStep *steps;
    uint16_t *buffers[3];
    uint8_t *scratch; /* `room` bytes for each thread */
    int64_t num_steps, pictures, rows, room;
    int has_tiles, threads;
} Pictures;

/* The bytes of scratch that a thread needs, and what it does with them. */
int64_t room_to_multiply(const Pictures *job, const PictureStep *step);
int64_t room_to_attend(const Pictures *job, const PictureStep *step);
void multiply_pictures_shared(const Pictures *job, const PictureStep *step, float *scratch);
void attend_pictures_shared(const Pictures *job, const PictureStep *step, float *scratch);
