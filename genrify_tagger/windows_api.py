"""The few calls of the Windows API that Python has no function for; on other systems an empty module.

Documented at learn.microsoft.com under the names used here.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import ctypes
    import msvcrt
    from ctypes import wintypes

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _security = ctypes.WinDLL("advapi32", use_last_error=True)

    _LOCKFILE_FAIL_IMMEDIATELY, _LOCKFILE_EXCLUSIVE_LOCK = 1, 2
    _ERROR_SHARING_VIOLATION, _ERROR_LOCK_VIOLATION = 32, 33
    _GENERIC_READ = 0x80000000
    _FILE_SHARE_READ, _FILE_SHARE_DELETE = 1, 4
    _PROCESS_QUERY_LIMITED_INFORMATION = 0x1000
    _STILL_ACTIVE = 259
    _DACL_SECURITY_INFORMATION = 4
    _EPOCH = 116_444_736_000_000_000  # 1970 in steps of 100 ns since 1601
    # Windows keeps others from reading what is locked, so this byte is far behind the end of any file.
    _LOCKED_BYTE = 1 << 62

    class _Overlapped(ctypes.Structure):
        _fields_ = (
            ("Internal", ctypes.c_void_p),
            ("InternalHigh", ctypes.c_void_p),
            ("Offset", wintypes.DWORD),
            ("OffsetHigh", wintypes.DWORD),
            ("hEvent", wintypes.HANDLE),
        )

    _kernel.LockFileEx.argtypes = (
        wintypes.HANDLE,
        wintypes.DWORD,
        wintypes.DWORD,
        wintypes.DWORD,
        wintypes.DWORD,
        ctypes.POINTER(_Overlapped),
    )
    _kernel.ReOpenFile.argtypes = (wintypes.HANDLE, wintypes.DWORD, wintypes.DWORD, wintypes.DWORD)
    _kernel.ReOpenFile.restype = wintypes.HANDLE
    _kernel.OpenProcess.argtypes = (wintypes.DWORD, wintypes.BOOL, wintypes.DWORD)
    _kernel.OpenProcess.restype = wintypes.HANDLE
    _kernel.GetExitCodeProcess.argtypes = (wintypes.HANDLE, ctypes.POINTER(wintypes.DWORD))
    _kernel.GetProcessTimes.argtypes = (wintypes.HANDLE, *[ctypes.POINTER(wintypes.FILETIME)] * 4)
    _kernel.SetFileTime.argtypes = (wintypes.HANDLE, *[ctypes.POINTER(wintypes.FILETIME)] * 3)
    _kernel.CloseHandle.argtypes = (wintypes.HANDLE,)
    _security.GetFileSecurityW.argtypes = (
        wintypes.LPCWSTR,
        wintypes.DWORD,
        ctypes.c_void_p,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.DWORD),
    )
    _security.SetFileSecurityW.argtypes = (wintypes.LPCWSTR, wintypes.DWORD, ctypes.c_void_p)

    def try_lock(descriptor: int, *, shared: bool) -> bool:
        """Lock an open file until it is closed, and return whether that was possible at once."""
        flags = _LOCKFILE_FAIL_IMMEDIATELY | (0 if shared else _LOCKFILE_EXCLUSIVE_LOCK)
        place = _Overlapped(Offset=_LOCKED_BYTE & 0xFFFFFFFF, OffsetHigh=_LOCKED_BYTE >> 32)
        if _kernel.LockFileEx(msvcrt.get_osfhandle(descriptor), flags, 0, 1, 0, ctypes.byref(place)):
            return True
        if ctypes.get_last_error() == _ERROR_LOCK_VIOLATION:
            return False
        raise ctypes.WinError(ctypes.get_last_error())

    def is_open_for_writing(descriptor: int) -> bool | None:
        """Return whether any process has the file open for writing; None if unknown.

        Windows refuses to open a file for someone who allows no writers beside him while there is one.
        """
        again = _kernel.ReOpenFile(
            msvcrt.get_osfhandle(descriptor), _GENERIC_READ, _FILE_SHARE_READ | _FILE_SHARE_DELETE, 0
        )
        if again == wintypes.HANDLE(-1).value:
            return True if ctypes.get_last_error() == _ERROR_SHARING_VIOLATION else None
        _kernel.CloseHandle(again)
        return False

    def process_start(pid: int) -> int | None:
        """Return when a process started, in steps of 100 ns since 1601; 0 if unknown, None if it does not run."""
        process = _kernel.OpenProcess(_PROCESS_QUERY_LIMITED_INFORMATION, False, pid)
        if not process:
            invalid_parameter = 87  # no process has this number; any other error means that one has
            return None if ctypes.get_last_error() == invalid_parameter else 0
        try:
            status, times = wintypes.DWORD(), [wintypes.FILETIME() for _ in range(4)]
            if _kernel.GetExitCodeProcess(process, ctypes.byref(status)) and status.value != _STILL_ACTIVE:
                return None
            if not _kernel.GetProcessTimes(process, *map(ctypes.byref, times)):
                return 0
            return times[0].dwHighDateTime << 32 | times[0].dwLowDateTime
        finally:
            _kernel.CloseHandle(process)

    def set_times(descriptor: int, *, accessed_ns: int, modified_ns: int) -> None:
        """Set the access and modification time of a file that is open for writing."""
        times = []
        for nanoseconds in (accessed_ns, modified_ns):
            steps = nanoseconds // 100 + _EPOCH
            times.append(wintypes.FILETIME(steps & 0xFFFFFFFF, steps >> 32))
        if not _kernel.SetFileTime(msvcrt.get_osfhandle(descriptor), None, *map(ctypes.byref, times)):
            raise ctypes.WinError(ctypes.get_last_error())

    def permissions(path: str) -> bytes:
        """Return a file's access control list, as a self-relative security descriptor."""
        needed = wintypes.DWORD()
        _security.GetFileSecurityW(path, _DACL_SECURITY_INFORMATION, None, 0, ctypes.byref(needed))
        buffer = ctypes.create_string_buffer(needed.value)
        if not _security.GetFileSecurityW(path, _DACL_SECURITY_INFORMATION, buffer, needed, ctypes.byref(needed)):
            raise ctypes.WinError(ctypes.get_last_error())
        return buffer.raw[: needed.value]

    def set_permissions(path: str, descriptor: bytes) -> None:
        """Give a file an access control list."""
        buffer = ctypes.create_string_buffer(descriptor, len(descriptor))
        if not _security.SetFileSecurityW(path, _DACL_SECURITY_INFORMATION, buffer):
            raise ctypes.WinError(ctypes.get_last_error())
