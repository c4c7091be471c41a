"""Optimizers, under PyTorch's names.  None is here yet; an update by hand goes under `autograd_core.no_grad()`."""
