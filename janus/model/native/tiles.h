/* The tiles of a processor with AMX: eight registers of up to sixteen lines of 64 bytes. */

#pragma once

#include "numbers.h"

/* Every thread sets up its own; `_tile_release` leaves them. */
INLINE void set_up_tiles(const int64_t lines[8]) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t lines[16];
    } shape = {.palette = 1};
    for (int i = 0; i < 8; i++) shape.bytes[i] = 64, shape.lines[i] = lines[i];
    __asm__ volatile("" : : "r"(&shape) : "memory"); /* gcc does not see that it is read */
    _tile_loadconfig(&shape);
}
