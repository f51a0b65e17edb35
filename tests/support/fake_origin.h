// An image server for tests: NFS, MOUNT and the port mapper on one loopback port, over a small tree
// in memory, answering as a script tells it: right, late, wrong, cut, twice, or not at all. It runs
// on the loop under test, so a test is one thread and nothing sleeps.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rpc/asio_loop.h"
#include "rpc/message.h"
#include "rpc/nfs3_codec.h"

namespace rowan::test {

// The tree; node 1 is the root. Handles are the node's number and its generation.
class FakeTree {
 public:
  struct Node {
    nfs3::Attributes attributes;
    std::string data;  // of a file; target of a symlink
    // Of a file: makes its bytes, instead of `data`; attributes.size says how many there are.
    std::function<void(std::uint64_t offset, ByteSpan into)> content;
    std::vector<std::pair<std::string, std::uint64_t>> children;
    std::uint32_t generation = 1;
  };

  FakeTree();
  std::uint64_t add_directory(std::uint64_t parent, const std::string& name);
  std::uint64_t add_file(std::uint64_t parent, const std::string& name, std::string data);
  std::uint64_t add_symlink(std::uint64_t parent, const std::string& name, std::string target);
  std::uint64_t add_special(std::uint64_t parent, const std::string& name, nfs3::FileType type);
  void add_link(std::uint64_t parent, const std::string& name, std::uint64_t file);
  Node& node(std::uint64_t id) { return nodes_.at(id); }
  nfs3::Handle handle(std::uint64_t id) const;
  // Null: no node has it (any more).
  const Node* find(const nfs3::Handle& handle) const;

  std::uint32_t rtmax = 1u << 20;
  bool has_readdirplus = true;
  bool plus_is_complete = true;  // READDIRPLUS entries have attributes and handles
  bool lookup_has_attributes = true;
  bool read_has_attributes = true;
  std::size_t entries_per_page = 100;

  // The results of an NFS call, encoded. `in` stands at the arguments.
  Buffer answer(nfs3::Procedure procedure, xdr::Reader& in) const;

 private:
  std::uint64_t add(std::uint64_t parent, const std::string& name, Node node);
  nfs3::LookupRes lookup(const nfs3::LookupArgs& args) const;
  nfs3::ReadRes read(const nfs3::ReadArgs& args) const;
  nfs3::ReaddirRes readdir(const nfs3::Handle& dir, nfs3::Cookie cookie, bool plus) const;

  std::map<std::uint64_t, Node> nodes_;
};

class FakeOrigin {
 public:
  class Connection;

  // One call that came; copies may answer later, as often as they like. Answers to a connection
  // that is gone go nowhere.
  struct Call {
    std::uint32_t xid = 0, program = 0, procedure = 0;
    std::uint32_t uid = 0, gid = 0;
    std::uint16_t peer_port = 0;
    std::size_t connection = 0;  // counted from 0 in the order of accepting
    std::shared_ptr<Buffer> record;
    std::size_t arguments_at = 0;
    std::shared_ptr<Connection> stream;

    bool is(nfs3::Procedure wanted) const {
      return program == nfs3::program && procedure == static_cast<std::uint32_t>(wanted);
    }
    template <nfs3::Procedure P>
    typename nfs3::Traits<P>::Args args() const {
      xdr::Reader in(record->view().subspan(arguments_at));
      typename nfs3::Traits<P>::Args decoded;
      nfs3::Codec<P>::decode_args(in, decoded);
      return decoded;
    }

    // A whole, successful reply with these results.
    std::string message(ByteView results, std::uint32_t with_xid) const;
    void reply(ByteView results) const { send(message(results, xid)); }
    template <nfs3::Procedure P>
    void reply(const typename nfs3::Traits<P>::Res& res) const {
      xdr::Writer out;
      nfs3::Codec<P>::encode_res(out, res);
      reply(out.view());
    }
    void refuse(rpc::AcceptStatus status) const;
    // Bytes as they are, and as one record.
    void send_raw(std::string_view bytes) const;
    void send(std::string_view message) const;
    void close() const;
    void reset() const;
  };

  explicit FakeOrigin(AsioLoop& loop);
  ~FakeOrigin();

  std::uint16_t port() const;
  // "nfs://127.0.0.1/export?nfsport=N&mountport=N", which the fake's MOUNT knows.
  std::string url() const;

  FakeTree tree;
  // Has the first say about every call: true, it has dealt with it; false, the tree answers.
  std::function<bool(const Call&)> script;
  // What the tree answers.
  void answer(const Call& call);
  std::string answer_message(const Call& call);

  std::size_t connections = 0;  // accepted so far
  std::size_t open = 0;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::size_t> calls;  // by program and procedure
  std::size_t count(nfs3::Procedure procedure) const;

  // Refuses new connections and resets the open ones; and the reverse, on the same port.
  void stop();
  void start();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rowan::test
