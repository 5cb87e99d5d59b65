/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/xml/xml_view.c: the tape as a tree, names by namespace, decoded values, and exact
 * octets for forwarding. */
#include "xml_cases.h"

#define MESSAGE                                                                                    \
    "<message to='romeo@example.org' type=\"chat\" id='a&amp;b' xml:lang='en'>"                    \
    "<body>Art thou&#x20;not <![CDATA[<Romeo>]]>?</body>\n"                                        \
    "<x xmlns='jabber:x:oob'><url>u</url></x>tail<y xmlns:p='urn:p&#49;' p:q='r\ts'/></message>"

struct fixture {
    struct harness harness;
    struct xml_item item;
    struct xml_input input;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    harness_init(&fixture.harness);
    fixture.input = xml_input_of(BYTES("<a/>" MESSAGE "<b/>"));
    enum xml_result result = XML_NEED_MORE;
    for (uint32_t i = 0; i < 2; i++)
        result = xml_read(fixture.harness.reader, XML_SCOPE_CLIENT, &fixture.harness.limits,
                          &fixture.input, &fixture.item);
    *state = &fixture;
    return result == XML_DONE ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    harness_fini(&fixture->harness);
    return 0;
}

static const struct xml_item *item_of(void **state)
{
    struct fixture *fixture = *state;
    return &fixture->item;
}

static void assert_bytes(struct bytes view, const char *expected)
{
    if (!bytes_equal(view, bytes_of_string(expected)))
        fail_msg("\"%.*s\" is not \"%s\"", (int)view.size, (const char *)view.at, expected);
}

/* The root, its name, and its octets: whole, tag and content. */
static void root_has_its_octets(void **state)
{
    const struct xml_item *item = item_of(state);
    const struct xml_node *root = xml_root(item);
    assert_true(xml_name_is(item, root, XML_NS_CLIENT, BYTES("message")));
    assert_false(xml_name_is(item, root, XML_NS_SERVER, BYTES("message")));
    assert_false(xml_name_is(item, root, XML_NS_CLIENT, BYTES("messag")));
    assert_bytes(xml_node_bytes(item, root), MESSAGE);
    assert_bytes(bytes_slice(item->input, item->at, item->size), MESSAGE);
    assert_bytes(xml_tag_bytes(item, root),
                 "<message to='romeo@example.org' type=\"chat\" id='a&amp;b' xml:lang='en'>");
    struct bytes content = xml_inner_bytes(item, root);
    assert_int_equal(content.size + xml_tag_bytes(item, root).size + strlen("</message>"),
                     strlen(MESSAGE));
    assert_bytes(xml_prefix(item, root), "");
    assert_bytes(xml_ns_uri(item, root), "jabber:client");
    assert_int_equal(root->depth, 1);
}

/* Attributes by name, by namespace, in order, and by value. */
static void attributes_are_found(void **state)
{
    const struct xml_item *item = item_of(state);
    const struct xml_node *root = xml_root(item);
    uint8_t space[64];
    struct writer writer = writer_of(space, sizeof(space));
    const struct xml_node *to = xml_attribute(item, root, BYTES("to"));
    assert_non_null(to);
    assert_bytes(xml_value(item, to, &writer), "romeo@example.org");
    assert_int_equal(writer.size, 0);
    assert_ptr_equal(xml_value(item, to, &writer).at, item->input.at + to->inner_at);
    assert_bytes(xml_node_bytes(item, to), "to='romeo@example.org'");
    const struct xml_node *id = xml_attribute(item, root, BYTES("id"));
    assert_bytes(xml_inner_bytes(item, id), "a&amp;b");
    assert_bytes(xml_value(item, id, &writer), "a&b");
    assert_true(xml_attribute_is(item, root, BYTES("id"), BYTES("a&b")));
    assert_false(xml_attribute_is(item, root, BYTES("id"), BYTES("a&amp;b")));
    assert_false(xml_attribute_is(item, root, BYTES("id"), BYTES("a&")));
    assert_true(xml_attribute_is(item, root, BYTES("type"), BYTES("chat")));
    assert_false(xml_attribute_is(item, root, BYTES("none"), BYTES("chat")));
    assert_null(xml_attribute(item, root, BYTES("lang")));
    const struct xml_node *lang = xml_attribute_ns(item, root, XML_NS_XML, BYTES("lang"));
    assert_bytes(xml_inner_bytes(item, lang), "en");
    assert_bytes(xml_prefix(item, lang), "xml");
    const struct xml_node *attribute = NULL;
    static const char *const names[] = {"to", "type", "id", "lang"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        attribute = xml_attribute_next(item, root, attribute);
        assert_bytes(xml_local_name(item, attribute), names[i]);
    }
    assert_null(xml_attribute_next(item, root, attribute));
    assert_bytes(xml_value(item, NULL, &writer), "");
}

/* Children and siblings, elements only or all. */
static void children_are_found(void **state)
{
    const struct xml_item *item = item_of(state);
    const struct xml_node *root = xml_root(item);
    const struct xml_node *body = xml_child(item, root);
    assert_true(xml_name_is(item, body, XML_NS_CLIENT, BYTES("body")));
    const struct xml_node *x = xml_next(item, body);
    assert_true(xml_name_is(item, x, XML_NS_OOB, BYTES("x")));
    assert_bytes(xml_node_bytes(item, x), "<x xmlns='jabber:x:oob'><url>u</url></x>");
    const struct xml_node *url = xml_child(item, x);
    assert_true(xml_name_is(item, url, XML_NS_OOB, BYTES("url")));
    assert_int_equal(url->depth, 3);
    assert_null(xml_next(item, url));
    assert_null(xml_child(item, url));
    const struct xml_node *y = xml_next(item, x);
    assert_true(xml_name_is(item, y, XML_NS_CLIENT, BYTES("y")));
    assert_null(xml_next(item, y));
    assert_null(xml_child(item, y));
    assert_null(xml_child_any(item, y));
    assert_ptr_equal(xml_child_named(item, root, XML_NS_OOB, BYTES("x")), x);
    assert_null(xml_child_named(item, root, XML_NS_OOB, BYTES("url")));
    assert_null(xml_next(item, root));
    const struct xml_node *feed = xml_next_any(item, body);
    assert_int_equal(feed->kind, XML_NODE_TEXT);
    assert_bytes(xml_inner_bytes(item, feed), "\n");
    assert_ptr_equal(xml_next_any(item, feed), x);
    assert_bytes(xml_inner_bytes(item, xml_next_any(item, x)), "tail");
}

/* Text over references and CDATA; a writer too small says so. */
static void text_is_joined(void **state)
{
    const struct xml_item *item = item_of(state);
    const struct xml_node *root = xml_root(item);
    uint8_t space[64];
    struct writer writer = writer_of(space, sizeof(space));
    xml_text(item, xml_child(item, root), &writer);
    assert_bytes(writer_bytes(&writer), "Art thou not <Romeo>?");
    writer = writer_of(space, sizeof(space));
    xml_text(item, root, &writer);
    assert_bytes(writer_bytes(&writer), "\ntail");
    writer = writer_of(space, 10);
    xml_text(item, xml_child(item, root), &writer);
    assert_true(writer.is_overflown);
}

/* A namespace nobody knows is compared decoded. */
static void other_namespaces(void **state)
{
    const struct xml_item *item = item_of(state);
    const struct xml_node *y = xml_next(item, xml_next(item, xml_child(item, xml_root(item))));
    const struct xml_node *declaration = xml_attribute_next(item, y, NULL);
    assert_int_equal(declaration->kind, XML_NODE_DECLARATION);
    assert_bytes(xml_local_name(item, declaration), "p");
    const struct xml_node *q = xml_attribute_next(item, y, declaration);
    assert_int_equal(q->ns, XML_NS_OTHER);
    assert_bytes(xml_ns_uri(item, q), "urn:p&#49;");
    assert_true(xml_ns_uri_is(item, q, BYTES("urn:p1")));
    assert_false(xml_ns_uri_is(item, q, BYTES("urn:p")));
    assert_false(xml_ns_uri_is(item, q, BYTES("urn:p11")));
    assert_true(xml_ns_uri_is(item, y, BYTES("jabber:client")));
    uint8_t space[64];
    struct writer writer = writer_of(space, sizeof(space));
    assert_bytes(xml_value(item, q, &writer), "r s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_has_its_octets), cmocka_unit_test(attributes_are_found),
        cmocka_unit_test(children_are_found),  cmocka_unit_test(text_is_joined),
        cmocka_unit_test(other_namespaces),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
