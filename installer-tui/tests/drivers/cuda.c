/* What aegis-installer calls of CUDA, with answers that FAKE_CUDA names. */
#include <stdlib.h>
#include <string.h>

static int is(const char *mode)
{
	const char *wanted = getenv("FAKE_CUDA");
	return wanted && !strcmp(wanted, mode);
}

int cuInit(unsigned int flags)
{
	return is("mismatch") ? 803 : is("no-device") ? 100 : 0;
}

int cuDeviceGetByPCIBusId(int *device, const char *address)
{
	*device = 7;
	return strcmp(address, "0000:01:00.0") ? 101 : 0;
}

int cuCtxCreate_v2(void **context, unsigned int flags, int device)
{
	*context = (void *)0xc0de;
	return device == 7 && !flags ? 0 : 1;
}

int cuCtxDestroy_v2(void *context)
{
	if (context != (void *)0xc0de)
		abort();
	return 0;
}
