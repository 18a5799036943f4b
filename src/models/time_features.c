/* Sinusoidal time features; see time_features.h. */
#include "models/time_features.h"

/* The root by bisection, since only multiplications and comparisons take part: the same bits everywhere, which pow() of
 * the C library does not promise. */
static double root_of(double value, int degree)
{
    double low = 1, high = value;
    for (int i = 0; i < 80; i++) {
        double middle = low + (high - low) / 2, power = 1;
        for (int k = 0; k < degree; k++)
            power *= middle;
        if (power < value)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* Taylor series on [-pi/4, pi/4]: the first term left out is below 1e-17. */
static double sine_kernel(double x)
{
    double y = x * x, sum = 0;
    for (int k = 8; k >= 1; k--)
        sum = (1 + sum) * (-y / (double)((2 * k) * (2 * k + 1)));
    return x * (1 + sum);
}

static double cosine_kernel(double x)
{
    double y = x * x, sum = 0;
    for (int k = 8; k >= 1; k--)
        sum = (1 + sum) * (-y / (double)((2 * k - 1) * (2 * k)));
    return 1 + sum;
}

void ws_sine_and_cosine(double x, double *sine, double *cosine)
{
    const double quarter_high = 1.57079632673412561417e+00, quarter_low = 6.07710050650619224932e-11; /* pi/2 in two */
    double scaled = x * 0.63661977236758134308;                                                       /* 2/pi */
    int quadrant = (int)(scaled + (scaled < 0 ? -0.5 : 0.5));
    double r = (x - quadrant * quarter_high) - quadrant * quarter_low, s = sine_kernel(r), c = cosine_kernel(r);
    switch (quadrant & 3) {
    case 0:
        *sine = s, *cosine = c;
        break;
    case 1:
        *sine = c, *cosine = -s;
        break;
    case 2:
        *sine = -s, *cosine = -c;
        break;
    default:
        *sine = -c, *cosine = s;
    }
}

void ws_time_rates(int64_t width, double *rates)
{
    int64_t half = width / 2;
    double ratio = root_of(100, (int)half - 1);
    for (int64_t i = 0; i < half; i++)
        rates[i] = i == 0 ? 1 : rates[i - 1] * ratio;
}

void ws_time_rates_falling(int64_t width, double *rates)
{
    int64_t half = width / 2;
    double ratio = 1 / root_of(10000, (int)half);
    for (int64_t i = 0; i < half; i++)
        rates[i] = i == 0 ? 1 : rates[i - 1] * ratio;
}

void ws_time_features(double t, const double *rates, int64_t width, ws_real *out)
{
    int64_t half = width / 2;
    for (int64_t i = 0; i < half; i++) {
        double sine, cosine;
        ws_sine_and_cosine(rates[i] * t, &sine, &cosine);
        out[i] = (ws_real)sine;
        out[half + i] = (ws_real)cosine;
    }
}
