#include "server/auth/tls_certificates.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/core/status_macros.h"
#include "server/logging.h"

namespace lossd {
namespace {

// How often gRPC looks at the files in memory.
constexpr unsigned kRefreshSeconds = 1;

template <auto Free>
struct Freer {
  template <class Object>
  void operator()(Object* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Freer<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Context = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

absl::Status Refuse(const std::string& path, const std::string& why) {
  // Or the next failure elsewhere would show this one's reasons.
  ERR_clear_error();
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", why));
}

Bio Reader(const std::string& pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// Instead of asking the terminal.
int NoPassphrase(char* /*text*/, int /*size*/, int /*write*/, void* /*user*/) {
  return 0;
}

// INVALID_ARGUMENT unless there is one at least and all can be read.
absl::StatusOr<std::vector<Certificate>> ReadCertificates(
    const std::string& path, const std::string& pem) {
  std::vector<Certificate> certificates;
  const Bio reader = Reader(pem);
  ERR_clear_error();
  while (X509* next =
             PEM_read_bio_X509(reader.get(), nullptr, NoPassphrase, nullptr)) {
    certificates.emplace_back(next);
  }
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
    return Refuse(path, absl::StrCat("certificate ", certificates.size() + 1,
                                     " cannot be read"));
  }
  ERR_clear_error();
  if (certificates.empty()) {
    return Refuse(path, "there is no certificate in PEM");
  }
  return certificates;
}

// Whether TLS takes them, as gRPC will find out later: it has limits of its own
// for keys and signatures.
bool CanServe(const std::vector<Certificate>& chain, EVP_PKEY& key) {
  const Context context(SSL_CTX_new(TLS_server_method()));
  if (SSL_CTX_use_certificate(context.get(), chain[0].get()) != 1) return false;
  for (size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context.get(), chain[i].get()) != 1) {
      return false;
    }
  }
  return SSL_CTX_use_PrivateKey(context.get(), &key) == 1;
}

int64_t NotAfter(const X509& certificate) {
  std::tm time = {};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(&certificate), &time) == 0) return 0;
  return timegm(&time);
}

// A file in memory; others cannot open it.
Descriptor MemoryFile(const char* name) {
  return Descriptor(memfd_create(name, MFD_CLOEXEC));
}

std::string PathOf(const Descriptor& file) {
  return absl::StrCat("/proc/self/fd/", file.number());
}

absl::Status Replace(const Descriptor& file, const std::string& bytes) {
  if (pwrite(file.number(), bytes.data(), bytes.size(), 0) ==
          static_cast<ssize_t>(bytes.size()) &&
      ftruncate(file.number(), static_cast<off_t>(bytes.size())) == 0) {
    return absl::OkStatus();
  }
  return absl::InternalError(
      absl::StrCat("cannot keep certificates: ", strerror(errno)));
}

}  // namespace

TlsCertificates::TlsCertificates(Files files, Descriptor identity,
                                 Descriptor client_ca)
    : files_(std::move(files)),
      watched_({files_.certificate, files_.key, files_.client_ca}),
      identity_(std::move(identity)),
      client_ca_(std::move(client_ca)) {}

absl::StatusOr<std::unique_ptr<TlsCertificates>> TlsCertificates::Read(
    Files files) {
  std::unique_ptr<TlsCertificates> certificates(
      new TlsCertificates(std::move(files), MemoryFile("lossd certificate"),
                          MemoryFile("lossd client ca")));
  certificates->watched_.Changed();
  LOSSD_RETURN_IF_ERROR(certificates->LoadUncounted());
  return certificates;
}

absl::Status TlsCertificates::Load() {
  watched_.Changed();
  absl::Status status = LoadUncounted();
  if (absl::IsUnavailable(status)) watched_.Forget();
  ++(status.ok() ? reloads_ : failed_reloads_);
  return status;
}

absl::Status TlsCertificates::LoadIfChanged() {
  return watched_.Changed() ? Load() : absl::OkStatus();
}

absl::Status TlsCertificates::LoadUncounted() {
  const absl::StatusOr<std::string> chain = ReadSmallFile(files_.certificate);
  LOSSD_RETURN_IF_ERROR(chain.status());
  const absl::StatusOr<std::string> key = ReadSmallFile(files_.key);
  LOSSD_RETURN_IF_ERROR(key.status());
  const absl::StatusOr<std::vector<Certificate>> certificates =
      ReadCertificates(files_.certificate, *chain);
  LOSSD_RETURN_IF_ERROR(certificates.status());
  X509& certificate = *certificates->front();
  const Key private_key(PEM_read_bio_PrivateKey(Reader(*key).get(), nullptr,
                                                NoPassphrase, nullptr));
  if (private_key == nullptr) {
    return Refuse(files_.key,
                  "there is no private key in PEM without a "
                  "passphrase");
  }
  if (X509_check_private_key(&certificate, private_key.get()) != 1) {
    return Refuse(files_.key, "it is not the key of the certificate");
  }
  if (!CanServe(*certificates, *private_key)) {
    return Refuse(files_.certificate,
                  absl::StrCat("TLS does not take it: ",
                               ERR_reason_error_string(ERR_peek_last_error())));
  }
  std::string roots;
  if (!files_.client_ca.empty()) {
    absl::StatusOr<std::string> read = ReadSmallFile(files_.client_ca);
    LOSSD_RETURN_IF_ERROR(read.status());
    roots = *std::move(read);
    LOSSD_RETURN_IF_ERROR(ReadCertificates(files_.client_ca, roots).status());
  }
  // gRPC skips in each what it does not look for. One file, so that it does not
  // see one of the two alone.
  LOSSD_RETURN_IF_ERROR(Replace(identity_, absl::StrCat(*key, "\n", *chain)));
  LOSSD_RETURN_IF_ERROR(Replace(client_ca_, roots));
  not_after_ = NotAfter(certificate);
  if (not_after_ < std::time(nullptr)) {
    LogWarning("certificate_expired", {{"file", files_.certificate},
                                       {"not_after", not_after_.load()}});
  }
  LogInfo("certificates",
          {{"file", files_.certificate}, {"not_after", not_after_.load()}});
  return absl::OkStatus();
}

std::shared_ptr<grpc::ServerCredentials> TlsCertificates::Credentials() const {
  namespace tls = grpc::experimental;
  const bool clients = !files_.client_ca.empty();
  tls::TlsServerCredentialsOptions options(
      std::make_shared<tls::FileWatcherCertificateProvider>(
          PathOf(identity_), PathOf(identity_),
          clients ? PathOf(client_ca_) : "", kRefreshSeconds));
  options.watch_identity_key_cert_pairs();
  if (clients) {
    options.watch_root_certs();
    options.set_cert_request_type(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return tls::TlsServerCredentials(options);
}

TlsCertificates::Figures TlsCertificates::figures() const {
  return {.not_after = not_after_,
          .reloads = reloads_,
          .failed_reloads = failed_reloads_};
}

}  // namespace lossd
