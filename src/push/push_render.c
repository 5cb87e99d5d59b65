/* SPDX-License-Identifier: Apache-2.0
 *
 * Renders a push. Texts of the request are escaped here, once; its extra element was validated as
 * one balanced element by whoever took the request, and goes in as it is. */
#include "push_render.h"

#include "stentor/xml.h"

static void write_element(struct writer *into, const char *name, struct bytes text)
{
    if (text.size == 0)
        return;
    write_u8(into, '<');
    write_string(into, name);
    write_u8(into, '>');
    write_xml_text(into, text);
    write_string(into, "</");
    write_string(into, name);
    write_u8(into, '>');
}

/* XEP-0066 section 3. */
static void write_uri(struct writer *into, struct bytes uri)
{
    if (uri.size == 0)
        return;
    write_string(into, "<x xmlns='jabber:x:oob'>");
    write_element(into, "url", uri);
    write_string(into, "</x>");
}

void push_render(struct writer *into, const struct push_request *request, const struct push_id *id,
                 struct bytes domain)
{
    write_string(into, "<message");
    write_xml_attribute(into, "from", domain);
    write_xml_attribute(into, "id", bytes_of(id->text, PUSH_ID_SIZE));
    write_u8(into, '>');
    write_element(into, "subject", request->title);
    write_element(into, "body", request->body.size != 0 ? request->body : request->title);
    write_uri(into, request->uri);
    write_bytes(into, request->xml);
    write_string(into, "</message>");
}
