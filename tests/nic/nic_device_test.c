/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/nic/nic_device.c: each form becomes the driver's arguments with slots large enough
 * for the MTU; everything else is refused with a sentence and never gets into an argument. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "nic_device.h"
#include "stentor/config.h"

static const struct nic_device_wish usual = {
    .queue_count = 2, .descriptor_count = 1024, .mtu = 1500};

static enum error parse(const char *text, const struct nic_device_wish *wish,
                        struct nic_device *device)
{
    char octets[512];
    struct writer message = writer_of(octets, sizeof octets);
    enum error error = nic_device_parse(device, text, wish, &message);
    assert_false(message.is_overflown);
    assert_int_equal(error == ERROR_NONE, message.size == 0);
    return error;
}

static void check(const char *text, enum nic_device_kind kind, const char *arguments)
{
    struct nic_device device;
    assert_int_equal(parse(text, &usual, &device), ERROR_NONE);
    assert_int_equal(device.kind, kind);
    assert_int_equal(device.is_client, strstr(arguments, "role=client") != NULL);
    assert_string_equal(device.arguments, arguments);
}

/* Every form there is. */
static void forms_become_arguments(void **state)
{
    (void)state;
    check("tap:stn0", NIC_DEVICE_TAP, "net_tap0,iface=stn0");
    check("af_packet:eth1", NIC_DEVICE_AF_PACKET,
          "net_af_packet0,iface=eth1,qpairs=2,framesz=2048,blocksz=4096,framecnt=1024");
    check("af_xdp:enp1s0f0", NIC_DEVICE_AF_XDP,
          "net_af_xdp0,iface=enp1s0f0,start_queue=0,queue_count=2");
    check("memif:/run/a.sock", NIC_DEVICE_MEMIF,
          "net_memif0,role=client,id=0,socket=/run/a.sock,socket-abstract=no,bsize=2048,rsize=10");
    check("memif:/run/a.sock,role=server", NIC_DEVICE_MEMIF,
          "net_memif0,role=server,id=0,socket=/run/a.sock,socket-abstract=no,bsize=2048,rsize=10");
    check("0000:3b:00.1", NIC_DEVICE_PCI, "0000:3b:00.1");
    check("3B:00.0", NIC_DEVICE_PCI, "3B:00.0");
    check("0000:3b:00.1,rxq_cqe_comp_en=0", NIC_DEVICE_PCI, "0000:3b:00.1,rxq_cqe_comp_en=0");
}

/* A whole frame, VLAN tag included, fits a slot or buffer at any MTU, and no longer one is let
 * through: net_af_packet would free it behind our back. */
static void slots_hold_the_mtu(void **state)
{
    (void)state;
    for (uint32_t mtu = 576; mtu <= 9000; mtu++) {
        const struct nic_device_wish wish = {1, 1024, mtu};
        struct nic_device device;
        unsigned int slot, block, frames;
        assert_int_equal(parse("af_packet:eth0", &wish, &device), ERROR_NONE);
        assert_int_equal(
            sscanf(device.arguments,
                   "net_af_packet0,iface=eth0,qpairs=1,framesz=%u,blocksz=%u,framecnt=%u", &slot,
                   &block, &frames),
            3);
        assert_int_equal(device.frame_max, mtu + 14);
        assert_int_equal(device.room_min, slot); /* the driver refuses smaller buffers */
        assert_true(slot >= mtu + 18 + 52);
        assert_true(block % slot == 0 && block % 4096 == 0);
        assert_true(frames % (block / slot) == 0 && frames >= 1024);
    }
    const struct nic_device_wish jumbo = {1, 1024, 9000};
    struct nic_device device;
    assert_int_equal(parse("memif:/a", &jumbo, &device), ERROR_NONE);
    assert_non_null(strstr(device.arguments, "bsize=16384"));
    assert_int_equal(parse("af_xdp:eth0", &jumbo, &device), ERROR_INVALID);
}

/* What is not one of the forms is refused: above all what would smuggle in an argument. */
static void all_else_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "tap",
        "tap:",
        "tap:a/b",
        "tap:..",
        "tap:sixteen-letters-",
        "tap:a,mac=00:00:00:00:00:01",
        "tap:a b",
        "TAP:stn0",
        "af_packet:",
        "af_packet:eth0,qdisc_bypass=0",
        "af_xdp:",
        "memif:",
        "memif:run/relative",
        "memif:/run/a,role=master",
        "memif:/run/a,zero-copy=yes",
        "memif:/run/a,role=server,x",
        "net_tap0,iface=x",
        "0000:3b:00",
        "0000:3b:00.8",
        "000:3b:00.1",
        "0000:3g:00.1",
        "0000-3b:00.1",
        "3b:00.1x",
        "eth0",
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct nic_device device;
        assert_int_equal(parse(texts[i], &usual, &device), ERROR_INVALID);
    }
    char path[255] = "memif:/";
    memset(path + 7, 'a', 240);
    struct nic_device device;
    assert_int_equal(parse(path, &usual, &device), ERROR_INVALID);
    path[6 + 107] = 0;
    assert_int_equal(parse(path, &usual, &device), ERROR_NONE);
}

/* Every way to cut a good text short is either refused or a good text of its own. */
static void cuts_are_judged(void **state)
{
    (void)state;
    static const char whole[] = "0000:3b:00.1,x=1";
    char cut[sizeof whole];
    for (size_t size = 0; size < sizeof whole; size++) {
        struct nic_device device;
        memcpy(cut, whole, size);
        cut[size] = 0;
        assert_int_equal(parse(cut, &usual, &device), size >= 12 ? ERROR_NONE : ERROR_INVALID);
    }
}

/* Each profile of dpdk-config is a configuration we take, naming a device we know. */
static void profiles_are_taken(void **state)
{
    (void)state;
    static const char *const names[] = {"tap",   "af_packet", "af_xdp", "memif",
                                        "intel", "mlx5",      "virtio", "ena"};
    for (uint32_t i = 0; i < ARRAY_COUNT(names); i++) {
        char path[512], said[1024];
        struct writer message = writer_of(said, sizeof said - 1);
        struct config config;
        struct nic_device device;
        (void)snprintf(path, sizeof path, "%s/dpdk-config/profiles/%s.yml", STENTOR_SOURCE_ROOT,
                       names[i]);
        assert_int_equal(config_read_file(&config, path, &message), ERROR_NONE);
        const struct nic_device_wish wish = {(uint32_t)config.server_workers,
                                             (uint32_t)config.nic_descriptors,
                                             (uint32_t)config.net_mtu};
        assert_int_equal(parse(config.nic_device, &wish, &device), ERROR_NONE);
        enum nic_device_kind kind = i < 4 ? (enum nic_device_kind)i : NIC_DEVICE_PCI;
        assert_int_equal(device.kind, kind);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_become_arguments), cmocka_unit_test(slots_hold_the_mtu),
        cmocka_unit_test(all_else_is_refused),    cmocka_unit_test(cuts_are_judged),
        cmocka_unit_test(profiles_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
