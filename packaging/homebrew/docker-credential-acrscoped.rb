class DockerCredentialAcrscoped < Formula
  desc "@SUMMARY@"
  homepage "@HOMEPAGE@"
  version "@VERSION@"
  license any_of: [@LICENSES_QUOTED@]

  on_macos do
    on_arm do
      url "@DOWNLOADS@/@PROGRAM@-@VERSION@-aarch64-macos.tar.gz"
      sha256 "@SHA256_AARCH64_MACOS@"
    end
    on_intel do
      url "@DOWNLOADS@/@PROGRAM@-@VERSION@-x86_64-macos.tar.gz"
      sha256 "@SHA256_X86_64_MACOS@"
    end
  end

  on_linux do
    on_arm do
      url "@DOWNLOADS@/@PROGRAM@-@VERSION@-aarch64-linux.tar.gz"
      sha256 "@SHA256_AARCH64_LINUX@"
    end
    on_intel do
      url "@DOWNLOADS@/@PROGRAM@-@VERSION@-x86_64-linux.tar.gz"
      sha256 "@SHA256_X86_64_LINUX@"
    end
  end

  def install
    prefix.install "bin"
    man1.install Dir["share/man/man1/*.1.gz"]
    bash_completion.install "share/bash-completion/completions/@PROGRAM@"
    zsh_completion.install "share/zsh/site-functions/_@PROGRAM@"
    fish_completion.install "share/fish/vendor_completions.d/@PROGRAM@.fish"
    pkgshare.install Dir["share/@PROGRAM@/*"]
    doc.install Dir["share/doc/@PROGRAM@/*"], Dir["share/licenses/@PROGRAM@/*"]
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/@PROGRAM@ version")
    assert_match "credentials not found", pipe_output("#{bin}/@PROGRAM@ get", "example.org", 1)
  end
end
