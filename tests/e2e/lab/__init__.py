"""The end-to-end laboratory: real servers, real clients and a virtual machine in one sandbox."""
