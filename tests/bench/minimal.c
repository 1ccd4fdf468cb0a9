/* SPDX-License-Identifier: MIT */
/*
 * A program that sets up each library the daemon uses, and does nothing: the least memory and the
 * shortest start there can be. Says `ready TIME` (seconds of the monotonic clock), then waits for TERM.
 */
#include <curl/curl.h>
#include <event2/event.h>
#include <expat.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <yajl/yajl_gen.h>
#include <yajl/yajl_parse.h>
#include <yaml.h>

static void on_term(evutil_socket_t signal, short what, void *base)
{
    (void)signal, (void)what;
    event_base_loopbreak(base);
}

/* Each library does a little of what it is for, so that its code is there. */
static int use_libraries(void)
{
    XML_Parser xml = XML_ParserCreate(NULL);
    yajl_handle json = yajl_alloc(NULL, NULL, NULL);
    yajl_gen gen = yajl_gen_alloc(NULL);
    unsigned char digest[EVP_MAX_MD_SIZE];
    yaml_parser_t yaml;
    yaml_document_t document;
    sqlite3 *database = NULL;
    static const unsigned char text[] = "{a: 1}";

    int good = XML_Parse(xml, "<a/>", 4, 1) == XML_STATUS_OK &&
               yajl_parse(json, (const unsigned char *)"[]", 2) == yajl_status_ok &&
               yajl_gen_null(gen) == yajl_gen_status_ok &&
               EVP_Digest("", 0, digest, NULL, EVP_sha256(), NULL) == 1 &&
               yaml_parser_initialize(&yaml) && sqlite3_open(":memory:", &database) == SQLITE_OK &&
               sqlite3_exec(database, "CREATE TABLE a (b)", NULL, NULL, NULL) == SQLITE_OK;
    yaml_parser_set_input_string(&yaml, text, sizeof(text) - 1);
    good = good && yaml_parser_load(&yaml, &document) && sd_notify(0, "READY=1") >= 0;
    sqlite3_close(database);
    yaml_document_delete(&document);
    yaml_parser_delete(&yaml);
    yajl_gen_free(gen);
    yajl_free(json);
    XML_ParserFree(xml);
    return good;
}

int main(void)
{
    struct event_base *base = event_base_new();
    struct event *term = evsignal_new(base, SIGTERM, on_term, base);
    struct timespec now;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !use_libraries() ||
        event_add(term, NULL) < 0)
        return 1;
    CURLM *multi = curl_multi_init();
    CURL *easy = curl_easy_init();
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("ready %ld.%09ld\n", (long)now.tv_sec, now.tv_nsec);
    fflush(stdout);
    event_base_dispatch(base);
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
    curl_global_cleanup();
    event_free(term);
    event_base_free(base);
}
