"""The system's RPC library as a client: libtirpc through ctypes, mostly for what goes over UDP."""

import ctypes

SUCCESS = 0


class _Ops(ctypes.Structure):
    _fields_ = [("call", ctypes.c_void_p)]


class _Client(ctypes.Structure):
    _fields_ = [("auth", ctypes.c_void_p), ("ops", ctypes.POINTER(_Ops))]


class _Timeval(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("microseconds", ctypes.c_long)]


def mount_status(host, path, netid, timeout_s=10):
    """mountstat3 of MNT of `path` (bytes), its port found by the port mapper of `host`; OSError if
    the call is not answered."""
    lib = ctypes.CDLL("libtirpc.so.3")
    lib.clnt_create.restype = ctypes.POINTER(_Client)
    lib.clnt_create.argtypes = [ctypes.c_char_p, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_char_p]
    lib.clnt_spcreateerror.restype = ctypes.c_char_p
    client = lib.clnt_create(host.encode(), 100005, 3, netid.encode())
    if not client:
        raise OSError(lib.clnt_spcreateerror(b"clnt_create").decode())
    argument, status = ctypes.c_char_p(path), ctypes.c_uint(0xffffffff)
    call = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(_Client), ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
        ctypes.c_void_p, ctypes.c_void_p, _Timeval)(client.contents.ops.contents.call)
    result = call(client, 1, ctypes.cast(lib.xdr_wrapstring, ctypes.c_void_p),
                  ctypes.addressof(argument), ctypes.cast(lib.xdr_u_int, ctypes.c_void_p),
                  ctypes.addressof(status), _Timeval(timeout_s, 0))
    if result != SUCCESS:
        raise OSError(f"MNT over {netid}: clnt_stat {result}")
    return status.value
