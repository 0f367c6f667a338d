/* What aegis-installer calls of libva and libva-drm, with answers that FAKE_VA names. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is(const char *mode)
{
	const char *wanted = getenv("FAKE_VA");
	return wanted && !strcmp(wanted, mode);
}

void *vaGetDisplayDRM(int descriptor)
{
	return is("no-display") || lseek(descriptor, 0, SEEK_CUR) < 0 ? NULL : (void *)0xda;
}

int vaInitialize(void *display, int *major, int *minor)
{
	*major = 1;
	*minor = 22;
	return is("unknown") ? -1 : display == (void *)0xda ? 0 : 3;
}

int vaTerminate(void *display)
{
	return 0;
}

const char *vaQueryVendorString(void *display)
{
	return is("nameless") ? NULL : "Mesa Gallium driver 25.0.7 for AMD Radeon RX 7900 XTX";
}

int vaMaxNumProfiles(void *display)
{
	return is("negative") ? -1 : is("many") ? 1000000 : 40;
}

int vaMaxNumEntrypoints(void *display)
{
	return 10;
}

int vaQueryConfigProfiles(void *display, int *profiles, int *count)
{
	static const int all[] = { 6, 13, 7, 17, 18, 32, 12, 9999 };
	memcpy(profiles, all, sizeof(all));
	*count = is("lying") ? 41 : sizeof(all) / sizeof(*all);
	return 0;
}

int vaQueryConfigEntrypoints(void *display, int profile, int *points, int *count)
{
	/* Decoding, then encoding by shaders or by fixed functions; JPEG has its own entry point. */
	points[0] = 1;
	points[1] = profile == 32 ? 8 : profile == 12 ? 7 : 6;
	*count = is("decodes") ? 1 : 2;
	return 0;
}
