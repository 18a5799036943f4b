/* Distributions that tests and intervals need: normal, Student t (also noncentral), chi square, beta. Sources: incomplete beta
 * function by Lentz's continued fraction, noncentral t after Lenth (AS 243, 1989); quantiles by bisection, exact to the last bits.
 */
#include <float.h>
#include <math.h>
#include "report/statistics.h"

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

/* lgamma() writes a global of the C library; this one does not. */
static double log_gamma(double x)
{
    int sign;
    return lgamma_r(x, &sign);
}

/* Regularised incomplete beta function. */
static double beta_share(double a, double b, double x)
{
    if (x <= 0 || x >= 1)
        return x <= 0 ? 0 : 1;
    double front = exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* Regularised lower incomplete gamma function: its series, or one less the continued fraction of the upper one. */
static double gamma_share(double a, double x)
{
    const double front = exp(a * log(x) - x - log_gamma(a)), tiny = 1e-300;
    if (x <= 0)
        return 0;
    if (x < a + 1) {
        double term = 1 / a, sum = term;
        for (int n = 1; n <= 10000 && term > 1e-17 * sum; n++)
            sum += term *= x / (a + n);
        return front * sum;
    }
    double b = x + 1 - a, c = 1 / tiny, d = 1 / b, fraction = d;
    for (int n = 1; n <= 10000; n++) {
        double term = -n * (n - a), before = fraction;
        b += 2;
        d = 1 / (fabs(term * d + b) < tiny ? tiny : term * d + b);
        c = fabs(b + term / c) < tiny ? tiny : b + term / c;
        fraction *= c * d;
        if (fabs(fraction - before) <= 1e-16 * fabs(fraction))
            break;
    }
    return 1 - front * fraction;
}

/* The x in [low, high] at which a rising distribution reaches the probability. */
static double bisect(double (*distribution)(double x, double a, double b), double a, double b, double probability,
                     double low, double high)
{
    for (;;) {
        double middle = 0.5 * (low + high);
        if (middle <= low || middle >= high)
            return middle;
        if (distribution(middle, a, b) < probability)
            low = middle;
        else
            high = middle;
    }
}

static double double_until(double (*distribution)(double x, double a, double b), double a, double b, double probability)
{
    double high = 1;
    while (distribution(high, a, b) < probability && high < 1e300)
        high *= 2;
    return high;
}

/* ---- normal ---- */

double ws_normal_probability(double z)
{
    return 0.5 * erfc(-z / sqrt(2));
}

static double normal(double z, double a, double b)
{
    (void)a;
    (void)b;
    return ws_normal_probability(z);
}

double ws_normal_quantile(double probability)
{
    if (probability <= 0 || probability >= 1)
        return probability <= 0 ? -INFINITY : INFINITY;
    return bisect(normal, 0, 0, probability, -40, 40);
}

/* ---- Student ---- */

double ws_student_two_sided(double t, double degrees)
{
    return beta_share(0.5 * degrees, 0.5, degrees / (degrees + t * t));
}

double ws_student_probability(double t, double degrees)
{
    double tail = 0.5 * ws_student_two_sided(t, degrees);
    return t > 0 ? 1 - tail : tail;
}

static double student(double t, double degrees, double b)
{
    (void)b;
    return ws_student_probability(t, degrees);
}

double ws_student_quantile(double probability, double degrees)
{
    if (probability < 0.5)
        return -ws_student_quantile(1 - probability, degrees);
    return bisect(student, degrees, 0, probability, 0, double_until(student, degrees, 0, probability));
}

/* For t >= 0: the sum over Poisson weights of half of `shift` squared; a negative t by its mirror image. Weights of a large shift
 * would underflow: there, and only there, the normal approximation of AS 243. */
double ws_student_shifted_probability(double t, double degrees, double shift)
{
    if (t < 0)
        return 1 - ws_student_shifted_probability(-t, degrees, -shift);
    if (fabs(shift) > 37.62) {
        double part = 1 / (4 * degrees);
        return ws_normal_probability((t * (1 - part) - shift) / sqrt(1 + 2 * part * t * t));
    }
    const double x = t * t / (t * t + degrees), half = 0.5 * shift * shift;
    double sum = 0;
    for (int j = 0; j < 100000 && t > 0; j++) {
        double power = j ? j * log(half > 0 ? half : DBL_MIN) : 0;
        double even = exp(power - half - log_gamma(j + 1.0));
        double odd = shift / sqrt(2) * exp(power - half - log_gamma(j + 1.5));
        sum += even * beta_share(j + 0.5, 0.5 * degrees, x) + odd * beta_share(j + 1.0, 0.5 * degrees, x);
        if (half == 0 || (j > half && even + fabs(odd) < 1e-18))
            break;
    }
    return ws_normal_probability(-shift) + 0.5 * sum;
}

/* ---- chi square, beta ---- */

static double chi_square(double x, double degrees, double b)
{
    (void)b;
    return gamma_share(0.5 * degrees, 0.5 * x);
}

double ws_chi_square_quantile(double probability, double degrees)
{
    return bisect(chi_square, degrees, 0, probability, 0, double_until(chi_square, degrees, 0, probability));
}

static double beta(double x, double a, double b)
{
    return beta_share(a, b, x);
}

double ws_beta_quantile(double probability, double a, double b)
{
    return bisect(beta, a, b, probability, 0, 1);
}
