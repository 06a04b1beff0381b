# SPDX-License-Identifier: Apache-2.0
# A recipe for Spack 1.0 and newer. Copy it to packages/quantbench/package.py of a repository of your own ("spack repo create"), put the
# tarball into the current folder, and run "spack install --no-checksum quantbench +cuda cuda_arch=90".
import os

from spack_repo.builtin.build_systems.autotools import AutotoolsPackage
from spack_repo.builtin.build_systems.cuda import CudaPackage

from spack.package import *


class Quantbench(AutotoolsPackage, CudaPackage):
    """Measures and verifies kernels that quantize tensors to FP8, INT8, INT4, MX formats and NVFP4, and provides them
    as a library."""

    url = f"file://{os.getcwd()}/quantbench-0.1.0.tar.xz"
    manual_download = True

    license("Apache-2.0")

    version("0.1.0")

    variant("mpi", default=False, description="Build quantbench-mpi, for many devices")
    variant("tool", default=True, description="Build the programs too, not the library alone")
    conflicts("+mpi", when="~tool", msg="quantbench-mpi runs the tool")

    depends_on("c", type="build")
    depends_on("cxx", type="build", when="+cuda")
    depends_on("pkgconfig", type="build")
    depends_on("jansson@2.10:", when="+tool")
    depends_on("check@0.10:", type="test")
    depends_on("cuda@11.8:", when="+cuda")
    depends_on("mpi@3:", when="+mpi")

    def configure_args(self):
        args = self.enable_or_disable("tool")
        if self.spec.satisfies("+cuda"):
            args.append(f"--with-cuda={self.spec['cuda'].prefix}")
            archs = self.spec.variants["cuda_arch"].value
            if "none" not in archs:
                args.append(f"--with-cuda-arch={','.join(archs)}")
        else:
            args.append("--without-cuda")
        args.append(f"--with-mpi={self.spec['mpi'].mpicc}" if self.spec.satisfies("+mpi") else "--without-mpi")
        return args
