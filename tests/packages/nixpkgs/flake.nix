# nixpkgs, as far as our flake uses it: `buildRustPackage` gives back what it is asked to build.
{
  outputs =
    { self }:
    let
      genAttrs = names: make: builtins.listToAttrs (map (name: { inherit name; value = make name; }) names);
      pkgs = {
        installShellFiles = "installShellFiles";
        lib.licenses = { mit = "MIT"; asl20 = "Apache-2.0"; };
        rustPlatform.buildRustPackage = package: package // {
          src = builtins.pathExists (package.src + "/src/main.rs");
          cargoLock = builtins.pathExists package.cargoLock.lockFile;
        };
      };
    in
    {
      lib = { inherit genAttrs; };
      legacyPackages = genAttrs [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ] (_: pkgs);
    };
}
