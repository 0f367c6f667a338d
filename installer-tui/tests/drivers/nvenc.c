/* What aegis-installer calls of NVENC, laid out as in version 12.1 of the interface, with answers that FAKE_NVENC names. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
	uint32_t a;
	uint16_t b, c;
	uint8_t d[8];
} guid;

struct open_parameters {
	uint32_t version, device_type;
	void *device, *reserved;
	uint32_t api_version, reserved1[253];
	void *reserved2[64];
};

struct capability_parameters {
	uint32_t version, capability, reserved[62];
};

struct functions {
	uint32_t version, reserved;
	void *pointers[318];
};

_Static_assert(sizeof(struct open_parameters) == 1552, "NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS");
_Static_assert(sizeof(struct capability_parameters) == 256, "NV_ENC_CAPS_PARAM");
_Static_assert(sizeof(struct functions) == 2552, "NV_ENCODE_API_FUNCTION_LIST");

/* The driver's version, and what the caller must have negotiated. */
static uint32_t major_version = 12, minor_version = 1;

static const guid codecs[] = {
	{ 0x6bc82762, 0x4e63, 0x4ca4, { 0xaa, 0x85, 0x1e, 0x50, 0xf3, 0x21, 0xf6, 0xbf } },
	{ 0x790cdc88, 0x4522, 0x4d7b, { 0x94, 0x25, 0xbd, 0xa9, 0x97, 0x5f, 0x76, 0x03 } },
	{ 0x0a352289, 0x0aa7, 0x4759, { 0x86, 0x2d, 0x5d, 0x15, 0xcd, 0x16, 0xd2, 0x54 } },
	{ 0xdeadbeef, 0, 0, { 0 } },
};

static int is(const char *mode)
{
	const char *wanted = getenv("FAKE_NVENC");
	return wanted && !strcmp(wanted, mode);
}

static uint32_t structure(uint32_t number)
{
	uint32_t api = major_version | minor_version << 24;
	return api | number << 16 | 7u << 28;
}

static int guid_count(void *encoder, uint32_t *count)
{
	*count = is("many") ? 1000000 : 4;
	return encoder == (void *)0xe0c0 ? 0 : 3;
}

static int guids(void *encoder, guid *list, uint32_t size, uint32_t *count)
{
	if (size != 4)
		return 8;
	memcpy(list, codecs, sizeof(codecs));
	*count = is("lying") ? 60 : 4;
	return 0;
}

static int capability(void *encoder, guid codec, struct capability_parameters *parameters, int *value)
{
	if (parameters->version != structure(1))
		return 15;
	int hevc = !memcmp(&codec, &codecs[1], sizeof(codec));
	switch (parameters->capability) {
	case 0: /* B-frames */
		*value = 3;
		return 0;
	case 16:
	case 17:
		*value = is("negative") ? -5 : hevc ? 8192 : 4096;
		return 0;
	case 33: /* 4:4:4 */
		*value = !memcmp(&codec, &codecs[0], sizeof(codec)) || hevc;
		return 0;
	case 39: /* 10 bits */
		*value = !!memcmp(&codec, &codecs[0], sizeof(codec));
		return 0;
	case 49: /* engines */
		*value = is("engines") ? 9 : 2;
		return 0;
	}
	return 12;
}

static int destroy(void *encoder)
{
	if (encoder != (void *)0xe0c0)
		abort();
	return 0;
}

static int open_session(struct open_parameters *parameters, void **encoder)
{
	if (parameters->version != structure(1) || parameters->api_version != (major_version | minor_version << 24))
		return 15;
	if (parameters->device_type != 1 || parameters->device != (void *)0xc0de)
		return 4;
	*encoder = is("no-handle") ? NULL : (void *)0xe0c0;
	return is("memory") ? 10 : is("key") ? 21 : is("none") ? 2 : is("generic") ? 20 : 0;
}

int NvEncodeAPIGetMaxSupportedVersion(uint32_t *version)
{
	if (is("new"))
		*version = 15 << 4 | 3;
	else
		*version = is("old") ? 7 << 4 : 12 << 4 | 1;
	return 0;
}

int NvEncodeAPICreateInstance(struct functions *list)
{
	if (is("new"))
		major_version = 13, minor_version = 0;
	if (list->version != structure(2))
		return 15;
	if (is("empty"))
		return 0;
	list->pointers[1] = guid_count;
	list->pointers[4] = guids;
	list->pointers[7] = capability;
	list->pointers[27] = destroy;
	list->pointers[29] = open_session;
	return 0;
}
