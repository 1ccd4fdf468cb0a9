/* SPDX-License-Identifier: MIT */
/* Dates on the wire. Written by hand: strptime and strftime ask the locale for names. */
#include "codec/date.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

static const char weekdays[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* What has not been read yet. After a mistake bad stays set, so it is asked once, at the end. */
struct reader {
    const char *at;
    bool bad;
};

static bool next_is(const struct reader *reader, char c)
{
    return !reader->bad && *reader->at == c;
}

static void expect(struct reader *reader, const char *literal)
{
    if (!reader->bad && str_starts(reader->at, literal))
        reader->at += strlen(literal);
    else
        reader->bad = true;
}

/* Exactly `digits` digits, with a value from least to most. */
static int number(struct reader *reader, int digits, int least, int most)
{
    int value = 0;

    for (; digits > 0 && !reader->bad; digits--) {
        if (*reader->at < '0' || *reader->at > '9') {
            reader->bad = true;
            return least;
        }
        value = value * 10 + (*reader->at++ - '0');
    }
    if (value < least || value > most)
        reader->bad = true;
    return reader->bad ? least : value;
}

/* One or two digits. */
static int short_number(struct reader *reader, int least, int most)
{
    bool has_two = *reader->at != '\0' && reader->at[1] >= '0' && reader->at[1] <= '9';

    return number(reader, has_two ? 2 : 1, least, most);
}

/* One of a table's three-letter names, as its index. */
static int name(struct reader *reader, const char (*names)[4], int count)
{
    for (int i = 0; i < count && !reader->bad; i++) {
        if (strncmp(reader->at, names[i], 3) == 0) {
            reader->at += 3;
            return i;
        }
    }
    reader->bad = true;
    return 0;
}

static int days_in_month(int year, int month)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 1 && leap ? 29 : days[month];
}

static bool finish(const struct reader *reader, struct tm *utc, int year, int64_t *ret_s)
{
    if (reader->bad || *reader->at != '\0' || utc->tm_mday > days_in_month(year, utc->tm_mon))
        return false;
    utc->tm_year = year - 1900;
    *ret_s = timegm(utc);
    return true;
}

/* The weekday must be one, but need not be the right one: nobody reads it. */
bool date_parse_http(const char *text, int64_t *ret_ms)
{
    struct reader reader = {.at = text};
    struct tm utc = {0};
    int64_t seconds;

    name(&reader, weekdays, array_size(weekdays));
    expect(&reader, ", ");
    utc.tm_mday = number(&reader, 2, 1, 31);
    expect(&reader, " ");
    utc.tm_mon = name(&reader, months, array_size(months));
    expect(&reader, " ");
    int year = number(&reader, 4, 0, 9999);
    expect(&reader, " ");
    utc.tm_hour = number(&reader, 2, 0, 23);
    expect(&reader, ":");
    utc.tm_min = number(&reader, 2, 0, 59);
    expect(&reader, ":");
    utc.tm_sec = number(&reader, 2, 0, 60); /* a leap second is the next minute's first */
    expect(&reader, " GMT");
    if (!finish(&reader, &utc, year, &seconds))
        return false;
    *ret_ms = seconds * 1000;
    return true;
}

/* Any number of digits behind the point, of which milliseconds are kept. */
static int fraction_ms(struct reader *reader)
{
    int ms = 0, digits = 0;

    expect(reader, ".");
    for (; !reader->bad && *reader->at >= '0' && *reader->at <= '9'; reader->at++, digits++) {
        if (digits < 3)
            ms = ms * 10 + (*reader->at - '0');
    }
    if (digits == 0)
        reader->bad = true;
    for (; digits < 3; digits++)
        ms *= 10;
    return ms;
}

/* `Z`, or how far the local time is ahead of UTC. */
static int zone_s(struct reader *reader)
{
    if (next_is(reader, '+') || next_is(reader, '-')) {
        int sign = *reader->at++ == '-' ? -1 : 1;
        int hours = number(reader, 2, 0, 23);
        expect(reader, ":");
        return sign * (hours * 3600 + number(reader, 2, 0, 59) * 60);
    }
    expect(reader, "Z");
    return 0;
}

/* What follows the `T`. */
static void read_time(struct reader *reader, struct tm *utc, int *ret_ms, int *ret_zone_s)
{
    utc->tm_hour = number(reader, 2, 0, 23);
    expect(reader, ":");
    utc->tm_min = number(reader, 2, 0, 59);
    if (next_is(reader, ':')) {
        expect(reader, ":");
        utc->tm_sec = number(reader, 2, 0, 60);
        if (next_is(reader, '.'))
            *ret_ms = fraction_ms(reader);
    }
    *ret_zone_s = zone_s(reader);
}

bool date_parse_iso(const char *text, int64_t *ret_ms)
{
    struct reader reader = {.at = text};
    struct tm utc = {0};
    int ms = 0, ahead_s = 0;
    int64_t seconds;

    int year = number(&reader, 4, 0, 9999);
    expect(&reader, "-");
    utc.tm_mon = number(&reader, 2, 1, 12) - 1;
    expect(&reader, "-");
    utc.tm_mday = number(&reader, 2, 1, 31);
    if (next_is(&reader, 'T')) {
        expect(&reader, "T");
        read_time(&reader, &utc, &ms, &ahead_s);
    }
    if (!finish(&reader, &utc, year, &seconds))
        return false;
    *ret_ms = (seconds - ahead_s) * 1000 + ms;
    return true;
}

/* The hour of a clock that may go by halves of a day; "00 PM" and "14 PM" are what some mean by 12 and 2. */
static int us_hour(struct reader *reader, int hour)
{
    if (str_starts(reader->at, " AM")) {
        expect(reader, " AM");
        reader->bad |= hour > 12;
        return hour % 12;
    }
    if (str_starts(reader->at, " PM")) {
        expect(reader, " PM");
        return hour % 12 + 12;
    }
    return hour;
}

bool date_parse_us(const char *text, int64_t *ret_ms)
{
    struct reader reader = {.at = text};
    struct tm utc = {0};
    int ahead_s = 0;
    int64_t seconds;

    utc.tm_mon = short_number(&reader, 1, 12) - 1;
    expect(&reader, "/");
    utc.tm_mday = short_number(&reader, 1, 31);
    expect(&reader, "/");
    int year = number(&reader, 4, 0, 9999);
    expect(&reader, " ");
    utc.tm_hour = short_number(&reader, 0, 23);
    expect(&reader, ":");
    utc.tm_min = number(&reader, 2, 0, 59);
    expect(&reader, ":");
    utc.tm_sec = number(&reader, 2, 0, 60);
    utc.tm_hour = us_hour(&reader, utc.tm_hour);
    if (next_is(&reader, ' ')) {
        expect(&reader, " ");
        ahead_s = zone_s(&reader);
    }
    if (!finish(&reader, &utc, year, &seconds))
        return false;
    *ret_ms = (seconds - ahead_s) * 1000;
    return true;
}

/* The calendar's view of a time; a fraction of a second is cut off towards the past. */
static struct tm calendar(int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000 - (ms % 1000 < 0 ? 1 : 0));
    struct tm utc = {0};

    gmtime_r(&seconds, &utc);
    return utc;
}

void date_format_http(int64_t ms, char ret_text[static DATE_TEXT_MAX])
{
    struct tm utc = calendar(ms);

    snprintf(ret_text, DATE_TEXT_MAX, "%s, %02d %s %04d %02d:%02d:%02d GMT", weekdays[utc.tm_wday],
             utc.tm_mday, months[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
             utc.tm_sec);
}

void date_format_iso(int64_t ms, char ret_text[static DATE_TEXT_MAX])
{
    struct tm utc = calendar(ms);

    snprintf(ret_text, DATE_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02dZ", utc.tm_year + 1900,
             utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}
