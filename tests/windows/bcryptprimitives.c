/* The one function that the Rust standard library takes from a DLL that Wine before 9 lacks; for tests under it only. */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T length)
{
	return RtlGenRandom(bytes, (ULONG)length);
}
