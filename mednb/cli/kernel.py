"""The one kernel of the course: this interpreter's."""

from jupyter_client.kernelspec import KernelSpecManager

__all__ = ["OwnKernel"]


class OwnKernel(KernelSpecManager):
    """Knows no kernel folders, so only the running interpreter's own kernel is left.

    Whatever kernels a reader has installed, under whatever names, notebooks run with the packages
    that were locked.
    """

    def _kernel_dirs_default(self) -> list[str]:
        return []
