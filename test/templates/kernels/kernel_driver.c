/*
 * kernel_driver.c - runs the kernels on vectors from standard input, for comparison with the TypeScript reference.
 *
 * Input: little-endian 32-bit words, cases one after the other, each an operation and its arguments as the function of that
 * name in driver_*.h reads them. Output: the result words of all cases. Links with a libc; the kernels themselves need none.
 */
#define _POSIX_C_SOURCE 200112L /* posix_memalign */

#include "driver_attention.h"
#include "driver_matrices.h"
#include "driver_vectors.h"

enum operation {
    SCALE = 1, RECIPROCAL_SQRT, EXP2_NEGATIVE, SIGMOID, QUANTIZE, RMSNORM, ROPE, SWIGLU, ADD, LINEAR_ROWS, GATHER_ROW, ATTEND,
    GELU_GATE, GELU, LAYERNORM, RESIDUE, NEURONS, HADAMARD
};

static void run_case(enum operation operation)
{
    switch (operation) {
    case SCALE:
        scale();
        return;
    case RECIPROCAL_SQRT:
        reciprocal_sqrt();
        return;
    case EXP2_NEGATIVE:
        exp2_negative();
        return;
    case SIGMOID:
        sigmoid();
        return;
    case QUANTIZE:
        quantize();
        return;
    case RMSNORM:
        rmsnorm();
        return;
    case ROPE:
        rope();
        return;
    case SWIGLU:
        swiglu();
        return;
    case ADD:
        add();
        return;
    case LINEAR_ROWS:
        linear_rows();
        return;
    case GATHER_ROW:
        gather_row();
        return;
    case ATTEND:
        attend();
        return;
    case GELU_GATE:
        gelu_gate();
        return;
    case GELU:
        gelu();
        return;
    case LAYERNORM:
        layernorm();
        return;
    case RESIDUE:
        residue();
        return;
    case HADAMARD:
        hadamard();
        return;
    case NEURONS:
        neurons();
        return;
    }
    die("unknown operation");
}

int main(void)
{
    read_input();
    while (input_at < input_words) {
        run_case((enum operation)word());
    }
    free(input);
    return 0;
}
