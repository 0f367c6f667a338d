/* What aegis-installer calls of NVML, with answers that FAKE_NVML names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct memory {
	unsigned long long total, free, used;
};

static int is(const char *mode)
{
	const char *wanted = getenv("FAKE_NVML");
	return wanted && !strcmp(wanted, mode);
}

int nvmlInit_v2(void)
{
	if (is("hang"))
		for (;;)
			pause();
	if (is("crash"))
		*(volatile int *)0 = 0;
	if (is("exit"))
		_exit(0);
	if (is("noise"))
		printf("aegis-answer {\"source\":\"nvml\"}\naegis-answer nonsense\nno end of line");
	return is("mismatch") ? 18 : is("not-loaded") ? 9 : is("unknown") ? 999 : 0;
}

int nvmlShutdown(void)
{
	if (is("hang-late"))
		for (;;)
			pause();
	return 0;
}

int nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
	snprintf(version, length, "550.163.01");
	return 0;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *address, void **device)
{
	if (strcmp(address, "0000:01:00.0"))
		return 6;
	*device = (void *)0x1234;
	return 0;
}

int nvmlDeviceGetName(void *device, char *name, unsigned int length)
{
	if (device != (void *)0x1234)
		return 2;
	if (is("no-end"))
		memset(name, 'x', length);
	else
		snprintf(name, length, is("hostile") ? "\xe2\x80\xae" "0904 XTR\x1b[2J\xff" : "NVIDIA GeForce RTX 4090");
	return 0;
}

int nvmlDeviceGetBrand(void *device, int *brand)
{
	*brand = 5;
	return 0;
}

int nvmlDeviceGetMemoryInfo(void *device, struct memory *memory)
{
	memory->total = 24ULL << 30;
	return 0;
}

int nvmlDeviceGetEncoderStats(void *device, unsigned int *sessions, unsigned int *frames, unsigned int *latency)
{
	*sessions = is("busy") ? 3 : 0;
	*frames = *latency = 0;
	return 0;
}

#ifndef WITHOUT_CAPACITY
int nvmlDeviceGetEncoderCapacity(void *device, int codec, unsigned int *percent)
{
	if (is("none"))
		return 3;
	*percent = is("lying") ? 4000000000U : is("busy") ? 0 : 100;
	return codec == 2 && is("old") ? 2 : 0;
}
#endif
