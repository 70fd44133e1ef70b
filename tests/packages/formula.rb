# Homebrew, as far as our formula uses it. Installs from an unpacked archive, the current folder, into a prefix, and tests what is there.
#
# usage: ruby formula.rb FORMULA PREFIX
require "fileutils"
require "open3"
require "pathname"

class Place < Pathname
  def install(*files)
    mkpath
    raise "nothing to install into #{self}" if files.flatten.empty?
    files.flatten.each { |file| FileUtils.cp_r(file, self) }
  end
end

class Formula
  class << self
    attr_reader :checks

    # Values of the class, each of which is set once for this system.
    %w[desc homepage version license url sha256].each do |name|
      define_method(name) do |value = nil|
        raise "#{name} is set twice" if value && instance_variable_get("@#{name}")
        value ? instance_variable_set("@#{name}", value) : instance_variable_get("@#{name}")
      end
    end

    def on_macos; end
    def on_linux = yield
    def on_intel = (yield if RUBY_PLATFORM.start_with?("x86_64"))
    def on_arm = (yield if RUBY_PLATFORM.start_with?("aarch64"))
    def test(&checks) = @checks = checks
  end

  def version = self.class.version
  def prefix = Place.new(ARGV[1])

  { bin: "bin", man1: "share/man/man1", bash_completion: "etc/bash_completion.d", zsh_completion: "share/zsh/site-functions",
    fish_completion: "share/fish/vendor_completions.d", pkgshare: "share/formula", doc: "share/doc/formula" }.each do |name, path|
    define_method(name) { Place.new(prefix + path) }
  end

  def assert_match(expected, text) = text.match?(expected) || raise("no #{expected} in #{text}")
  def shell_output(command, status = 0) = pipe_output(command, nil, status)

  def pipe_output(command, input, status)
    output, ended = Open3.capture2(command, stdin_data: input)
    ended.exitstatus == status ? output : raise("#{command} ended with #{ended}")
  end
end

load ARGV[0]
formula = DockerCredentialAcrscoped.new
formula.install
formula.instance_eval(&DockerCredentialAcrscoped.checks)
puts DockerCredentialAcrscoped.url, DockerCredentialAcrscoped.sha256
