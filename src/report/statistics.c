/* Mean, sample standard deviation and t interval of a few values. Sources: Neumaier, "Rundungsfehleranalyse einiger
 * Verfahren zur Summation endlicher Summen", 1974; incomplete beta function by Lentz's continued fraction. */
#include "report/report.h"

#include <math.h>

typedef struct compensated {
    double sum, correction;
} compensated;

static void add(compensated *total, double value)
{
    double sum = total->sum + value;
    total->correction += fabs(total->sum) >= fabs(value) ? (total->sum - sum) + value : (value - sum) + total->sum;
    total->sum = sum;
}

/* Continued fraction of the incomplete beta function, Lentz's way. */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double fraction = d;
    for (int m = 1; m <= 10000; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        double before = fraction;
        for (int half = 0; half < 2; half++) {
            double term = half ? odd : even;
            d = 1 + term * d;
            c = 1 + term / c;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = fabs(c) < tiny ? tiny : c;
            fraction *= d * c;
        }
        if (fabs(fraction - before) <= 1e-16 * fabs(fraction))
            break;
    }
    return fraction;
}

/* Regularised incomplete beta function. */
static double beta_share(double a, double b, double x)
{
    if (x <= 0 || x >= 1)
        return x <= 0 ? 0 : 1;
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double ws_student_probability(double t, double degrees)
{
    double tail = 0.5 * beta_share(0.5 * degrees, 0.5, degrees / (degrees + t * t));
    return t > 0 ? 1 - tail : tail;
}

double ws_student_quantile(double probability, double degrees)
{
    if (probability < 0.5)
        return -ws_student_quantile(1 - probability, degrees);
    double low = 0, high = 1;
    while (ws_student_probability(high, degrees) < probability && high < 1e300)
        high *= 2;
    for (;;) {
        double middle = 0.5 * (low + high);
        if (middle <= low || middle >= high)
            return middle;
        if (ws_student_probability(middle, degrees) < probability)
            low = middle;
        else
            high = middle;
    }
}

ws_statistics ws_statistics_of(const double *values, size_t n)
{
    ws_statistics out = {0, NAN, NAN, NAN, NAN};
    compensated sum = {0, 0};
    for (size_t i = 0; i < n; i++)
        if (!isnan(values[i])) {
            add(&sum, values[i]);
            out.n++;
        }
    if (out.n == 0)
        return out;
    double count = (double)out.n;
    out.mean = (sum.sum + sum.correction) / count;
    if (out.n < 2)
        return out;
    compensated squares = {0, 0}, rest = {0, 0}; /* rest: what rounding of the mean left over */
    for (size_t i = 0; i < n; i++)
        if (!isnan(values[i])) {
            double difference = values[i] - out.mean;
            add(&squares, difference * difference);
            add(&rest, difference);
        }
    double left = rest.sum + rest.correction;
    double variance = (squares.sum + squares.correction - left * left / count) / (count - 1);
    out.deviation = sqrt(variance > 0 ? variance : 0);
    double half = ws_student_quantile(0.975, count - 1) * out.deviation / sqrt(count);
    out.low = out.mean - half;
    out.high = out.mean + half;
    return out;
}
