/* The real type of kernels and engine, the precision of products, and the activations of operators. */
#ifndef WS_KERNELS_REAL_H
#define WS_KERNELS_REAL_H

#ifdef WS_REAL_DOUBLE
typedef double ws_real;
#else
typedef float ws_real;
#endif

typedef enum ws_precision { WS_FP32, WS_BF16, WS_PRECISION_COUNT } ws_precision;

typedef enum ws_activation {
    WS_NONE,
    WS_RELU,
    WS_SILU,
    WS_GELU,
    WS_TANH,
    WS_LEAKY_RELU,
    WS_SIGMOID,
    WS_ACTIVATION_COUNT
} ws_activation;

#endif
