# nixpkgs, as far as our flake uses it: `buildRustPackage` gives back what it is asked to build, for each system.
flake:
let
  genAttrs = names: make: builtins.listToAttrs (map (name: { inherit name; value = make name; }) names);
  pkgs = {
    installShellFiles = "installShellFiles";
    lib.licenses = { mit = "MIT"; asl20 = "Apache-2.0"; };
    rustPlatform.buildRustPackage = package: package;
  };
  systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
  packages = ((import flake).outputs {
    self = { };
    nixpkgs = { lib = { inherit genAttrs; }; legacyPackages = genAttrs systems (_: pkgs); };
  }).packages;
in
builtins.mapAttrs (_: package: package.default // {
  src = builtins.pathExists (package.default.src + "/Cargo.toml");
  cargoLock = builtins.pathExists package.default.cargoLock.lockFile;
}) packages
