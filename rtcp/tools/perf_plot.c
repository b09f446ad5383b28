/* The results of rtcp-perf as an SVG, written by hand: rates of both wires over the sizes of messages, and below them
 * their ratio. Points are medians, bars their 95 % bootstrap intervals; the grey band is the noise of plain TCP.
 */
#include "rtcp/base/bytes.h"
#include "rtcp/tools/perf.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#define WIDTH      860.
#define LEFT       90.
#define RIGHT      30.
#define RATE_TOP   80.
#define RATE_LOW   360.
#define RATIO_TOP  420.
#define RATIO_LOW  600.
#define HEIGHT     660.
#define TICKS_MOST 8

static const char *const colours[PERF_WIRES] = {"#1f5fa8", "#c0561b", "#999999"};
static const char *const titles[PERF_WIRES] = {"robust TCP", "plain TCP", "plain TCP again"};

/* A vertical axis: values from low to high, linear or logarithmic, between two heights of the page. */
struct axis {
    double low, high;
    double top, bottom;
    bool is_log;
};

struct plot {
    FILE *out;
    const struct perf_options *o;
    const struct perf_result *result;
    size_t count;
    struct axis rate, ratio;
};

static double place(const struct axis *a, double v)
{
    double share = a->is_log ? log10(v / a->low) / log10(a->high / a->low) : (v - a->low) / (a->high - a->low);

    return a->bottom - share * (a->bottom - a->top);
}

static double across(const struct plot *p, size_t i)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * ((double)i + 0.5) / (double)p->count;
}

/* Rates of streams are bytes, others transactions. */
static double scale_of(const struct plot *p, size_t i)
{
    return p->o->test == PERF_STREAM ? p->result[i].size / 1e6 : 1.;
}

/* ------------------------------------------------------------------------------------------------ axes */

/* The least 1, 2 or 5 times a power of ten that is at least v. */
static double round_up(double v)
{
    double base = pow(10., floor(log10(v)));

    return v <= base ? base : v <= 2. * base ? 2. * base : v <= 5. * base ? 5. * base : 10. * base;
}

static void widen(struct axis *a, struct perf_interval i, double scale)
{
    if (i.median > 0.) {
        a->low = fmin(a->low, i.low * scale);
        a->high = fmax(a->high, i.high * scale);
    }
}

static void make_axes(struct plot *p)
{
    p->rate = (struct axis){INFINITY, 0., RATE_TOP, RATE_LOW, false};
    p->ratio = (struct axis){0.9, 1.1, RATIO_TOP, RATIO_LOW, false};
    for (size_t i = 0; i < p->count; i++) {
        for (unsigned wire = 0; wire < PERF_WIRES; wire++) {
            widen(&p->rate, p->result[i].rate[wire], scale_of(p, i));
        }
        widen(&p->ratio, p->result[i].ratio, 1.);
        widen(&p->ratio, p->result[i].noise, 1.);
    }
    p->rate.is_log = p->rate.high > 20. * p->rate.low && p->rate.low > 0.;
    p->rate.low = p->rate.is_log ? pow(10., floor(log10(p->rate.low))) : 0.;
    p->rate.high = p->rate.is_log ? pow(10., ceil(log10(p->rate.high * 1.02))) : round_up(p->rate.high * 1.02);
    p->ratio.low = floor(p->ratio.low * 10. - 0.01) / 10.;
    p->ratio.high = ceil(p->ratio.high * 10. + 0.01) / 10.;
}

static void print_value(char text[32], double v)
{
    static const char units[] = " kMG";
    size_t unit = 0;

    for (; v >= 1000. && unit + 2 < sizeof units; unit++) {
        v /= 1000.;
    }
    (void)snprintf(text, 32, "%.3g%.*s", v, unit > 0 ? 1 : 0, units + unit);
}

static void draw_tick(const struct plot *p, const struct axis *a, double v, bool is_strong)
{
    double y = place(a, v);
    char text[32];

    print_value(text, v);
    fprintf(p->out,
            "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>"
            "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\" fill=\"#444\">%s</text>\n",
            LEFT, WIDTH - RIGHT, y, y, is_strong ? "#888" : "#ddd", LEFT - 8., y + 4., text);
}

static void draw_axis(const struct plot *p, const struct axis *a, double strong)
{
    double step = round_up((a->high - a->low) / TICKS_MOST);
    double from = ceil(a->low / step - 1e-9) * step;

    if (a->is_log) {
        for (double v = a->low; v <= a->high * 1.001; v *= 10.) {
            draw_tick(p, a, v, false);
        }
        return;
    }
    for (int i = 0; from + i * step <= a->high + step / 1000.; i++) {
        draw_tick(p, a, from + i * step, fabs(from + i * step - strong) < step / 1000.);
    }
}

static void draw_sizes(const struct plot *p, double y)
{
    for (size_t i = 0; i < p->count; i++) {
        uint32_t size = p->result[i].size;
        char text[32] = "64 B, 8 KiB";

        if (p->o->test != PERF_CRR) {
            bool is_kib = size >= 1024 && size % 1024 == 0;
            bool is_mib = is_kib && size % (1u << 20) == 0;

            (void)snprintf(text, sizeof text, "%u %s",
                           is_mib   ? size >> 20
                           : is_kib ? size >> 10
                                    : size,
                           is_mib   ? "MiB"
                           : is_kib ? "KiB"
                                    : "B");
        }
        fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" fill=\"#444\">%s</text>\n", across(p, i), y,
                text);
    }
}

/* ------------------------------------------------------------------------------------------------ series */

static void draw_point(const struct plot *p, const struct axis *a, double x, struct perf_interval i, double scale,
                       const char *colour)
{
    fprintf(p->out,
            "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"5\" "
            "stroke-opacity=\"0.4\"/><circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n",
            x, x, place(a, i.low * scale), place(a, i.high * scale), colour, x, place(a, i.median * scale), colour);
}

static void draw_rates(const struct plot *p, unsigned wire)
{
    fprintf(p->out, "<g id=\"%s\"><title>%s</title><polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"",
            wire == PERF_OURS ? "rtcp" : "tcp", titles[wire], colours[wire]);
    for (size_t i = 0; i < p->count; i++) {
        fprintf(p->out, "%.1f,%.1f ", across(p, i), place(&p->rate, p->result[i].rate[wire].median * scale_of(p, i)));
    }
    fputs("\"/>\n", p->out);
    for (size_t i = 0; i < p->count; i++) {
        draw_point(p, &p->rate, across(p, i), p->result[i].rate[wire], scale_of(p, i), colours[wire]);
    }
    fputs("</g>\n", p->out);
}

/* The band in which plain TCP lies against itself. */
static void draw_noise(const struct plot *p)
{
    double half = (WIDTH - LEFT - RIGHT) / (double)p->count / 2. - 2.;

    fputs("<g id=\"noise\"><title>plain TCP against itself</title>\n", p->out);
    for (size_t i = 0; i < p->count; i++) {
        double top = place(&p->ratio, p->result[i].noise.high);

        fprintf(p->out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"#e2e2e2\"/>\n",
                across(p, i) - half, top, 2. * half, place(&p->ratio, p->result[i].noise.low) - top);
    }
    fputs("</g>\n", p->out);
}

static void draw_ratio(const struct plot *p)
{
    fputs("<g id=\"ratio\"><title>robust TCP to plain TCP</title>\n", p->out);
    for (size_t i = 0; i < p->count; i++) {
        struct perf_interval r = p->result[i].ratio;

        draw_point(p, &p->ratio, across(p, i), r, 1., colours[PERF_OURS]);
        fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\">%.3f</text>\n", across(p, i) + 9., place(&p->ratio, r.median) + 4.,
                r.median);
    }
    fputs("</g>\n", p->out);
}

static void draw_head(const struct plot *p)
{
    static const char *const what[] = {"round trips a second", "megabytes a second",
                                       "connect, request, answer, close: transactions a second"};
    double x = LEFT;

    fprintf(p->out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\" "
            "font-size=\"13\">\n<title>rtcp-perf %s</title>\n<rect width=\"%.0f\" height=\"%.0f\" fill=\"white\"/>\n"
            "<text x=\"%.0f\" y=\"28\" font-size=\"17\">%s, %s face</text>\n",
            WIDTH, HEIGHT, perf_test_names[p->o->test], WIDTH, HEIGHT, LEFT, what[p->o->test], p->o->face->name);
    for (unsigned wire = 0; wire < PERF_AGAIN; wire++) {
        if (p->o->takes_part[wire]) {
            fprintf(p->out, "<circle cx=\"%.0f\" cy=\"49\" r=\"5\" fill=\"%s\"/><text x=\"%.0f\" y=\"54\">%s</text>\n",
                    x + 5., colours[wire], x + 16., titles[wire]);
            x += 120.;
        }
    }
    fprintf(p->out,
            "<text x=\"%.0f\" y=\"54\" fill=\"#666\">medians of %u runs of %g s; bars: 95 %% intervals</text>\n", x,
            p->o->pairs, p->o->seconds);
}

static void draw(const struct plot *p)
{
    const bool *part = p->o->takes_part;

    draw_head(p);
    draw_axis(p, &p->rate, -1.);
    draw_sizes(p, RATE_LOW + 20.);
    for (unsigned wire = 0; wire < PERF_AGAIN; wire++) {
        if (part[wire]) {
            draw_rates(p, wire);
        }
    }
    if (part[PERF_TCP]) {
        fprintf(p->out, "<text x=\"%.0f\" y=\"%.0f\">ratio of rates, robust TCP to plain TCP%s</text>\n", LEFT,
                RATIO_TOP - 12., part[PERF_AGAIN] ? "; grey: plain TCP to itself (noise)" : "");
        draw_axis(p, &p->ratio, 1.);
        if (part[PERF_AGAIN]) {
            draw_noise(p);
        }
        if (part[PERF_OURS]) {
            draw_ratio(p);
        }
        draw_sizes(p, RATIO_LOW + 20.);
    }
    fprintf(p->out, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\" fill=\"#444\">%s</text>\n</svg>\n", WIDTH / 2.,
            HEIGHT - 14., p->o->test == PERF_CRR ? "request, answer" : "bytes of a message");
}

int perf_plot_write(const struct perf_options *o, const struct perf_result *results, size_t count)
{
    struct plot p = {.o = o, .result = results, .count = count, .out = fopen(o->plot, "we")};
    bool has_failed;

    if (p.out == NULL) {
        return -1;
    }
    make_axes(&p);
    draw(&p);
    has_failed = ferror(p.out) != 0;
    return fclose(p.out) != 0 || has_failed ? -1 : 0;
}
