#include "rpc/nfs3.h"
